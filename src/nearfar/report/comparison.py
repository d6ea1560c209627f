"""Several runs side by side: scores, curves, and the settings in which they differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from nearfar.report import charts
from nearfar.report.run_files import RunFiles
from nearfar.report.score_table import score_cell
from nearfar.report.scores import Row, score_rows
from nearfar.report.settings import setting_text
from nearfar.report.uncertainty import difference
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
        "differences": _differing_settings([run.config for run in runs.values()]),
        "loss": charts.loss_curve(runs) if any(run.steps for run in runs.values()) else None,
        "knn": charts.knn_curve(runs) if any(run.knn for run in runs.values()) else None,
        "rate": charts.learning_rate_curve(runs)
        if any(run.steps for run in runs.values())
        else None,
    }


def _score_rows(tables: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
    """The encoder's score of every run under every protocol, the best ones marked."""
    keyed = [{(row.protocol, row.metric, row.parameters): row for row in rows} for rows in tables]
    keys = list(dict.fromkeys(key for rows in keyed for key in rows))
    shown = []
    for key in keys:
        held = [rows.get(key) for rows in keyed]
        held = [row if row and "encoder" in row.scores else None for row in held]
        present = [row for row in held if row]
        if not present:
            continue
        best = max(present, key=lambda row: row.scores["encoder"].value)
        cells = []
        for row in held:
            cell = score_cell(row, "encoder") if row else None
            if cell and row:
                cell["mark"] = _mark(row, best) if len(present) > 1 else None
            cells.append(cell)
        shown.append({"title": present[0].title, "detail": present[0].detail, "cells": cells})
    return shown


def _mark(row: Row, best: Row) -> str | None:
    """`best`, `level` with the best within the noise, or neither; only accuracies are ranked."""
    if not row.is_accuracy:
        return None
    if row is best:
        return "best"
    gap = difference(best.scores["encoder"], row.scores["encoder"])
    return "level" if gap.outcome == "level" else None


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
