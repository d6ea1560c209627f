"""Several runs side by side: scores, curves, and the settings in which they differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from nearfar.report import charts
from nearfar.report.run_files import RunFiles, knn_title
from nearfar.report.score_table import score_cell
from nearfar.report.scores import SHOTS, SIZES, Row, score_rows
from nearfar.report.settings import setting_text
from nearfar.report.uncertainty import Score, difference
from nearfar.report.verdict import run_verdict


def comparison(runs: Mapping[str, RunFiles]) -> dict[str, Any]:
    """What the template needs to show runs side by side.

    Args:
        runs: Two or more runs by the name they carry on the page.
    """
    tables = [score_rows(run.records) for run in runs.values()]
    return {
        "names": list(runs),
        "verdict": run_verdict(list(runs), tables),
        "rows": _score_rows(tables),
        "shots": [
            {"title": f"{name}: {SIZES[shots]}", "rows": rows}
            for shots, name in SHOTS.items()
            if (rows := _score_rows(tables, shots))
        ],
        "differences": _differing_settings([run.config for run in runs.values()]),
        "shared": charts.bound_curve(runs),
        "loss": charts.loss_curve(runs) if any(run.steps for run in runs.values()) else None,
        "knn_title": knn_title(runs.values(), "examples"),
        "knn": charts.knn_curve(runs) if any(run.knn for run in runs.values()) else None,
        "rate": charts.learning_rate_curve(runs)
        if any(run.steps for run in runs.values())
        else None,
    }


def _score_rows(tables: Sequence[Sequence[Row]], shots: str | None = None) -> list[dict[str, Any]]:
    """The encoder's score of every run by protocol, over all classes or those of a size."""
    shown = []
    for held in _aligned(tables):
        row = next(row for row in held if row)
        found = [row.of(shots).get("encoder") if row else None for row in held]
        cells = _cells(found, row.is_accuracy)
        if any(cells):
            shown.append({"title": row.title, "detail": row.detail, "cells": cells})
    return shown


def _aligned(tables: Sequence[Sequence[Row]]) -> list[list[Row | None]]:
    """The rows of all runs under one protocol, for every protocol that a run has."""
    keyed = [{(row.protocol, row.metric, row.parameters): row for row in rows} for rows in tables]
    keys = dict.fromkeys(key for rows in keyed for key in rows)
    return [[rows.get(key) for rows in keyed] for key in keys]


def _cells(scores: Sequence[Score | None], is_accuracy: bool) -> list[dict[str, Any] | None]:
    """A cell for each run; among several accuracies the best is marked, and what is level."""
    present = [score for score in scores if score]
    ranked = is_accuracy and len(present) > 1
    best = max(present, key=lambda score: score.value) if ranked else None
    cells = [score_cell(score, is_accuracy=is_accuracy) for score in scores]
    return [
        cell and {**cell, "mark": _mark(score, best)}
        for cell, score in zip(cells, scores, strict=True)
    ]


def _mark(score: Score | None, best: Score | None) -> str | None:
    """`best`, `level` with the best within the noise, or neither."""
    if score is None or best is None:
        return None
    if score is best:
        return "best"
    return "level" if difference(best, score).outcome == "level" else None


def _differing_settings(configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs, by dotted name."""
    flat = [_flat(config) for config in configs]
    names = list(dict.fromkeys(name for config in flat for name in config))
    rows = [(name, [setting_text(config.get(name)) for config in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
