"""Several runs side by side: scores, curves, and the settings in which they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from nearfar.report import charts
from nearfar.report.run_files import RunFiles, knn_title
from nearfar.report.score_tables import score_cell
from nearfar.report.scores import SHOTS, SIZES, Row, score_rows
from nearfar.report.settings import setting_text
from nearfar.report.uncertainty import Score
from nearfar.report.verdict import run_verdict
from nearfar.spec import flat_settings


@dataclass(frozen=True)
class Ground:
    """Runs that were judged on the same data.

    Attributes:
        letter: What the page calls the data; none where all runs share them.
        names: The runs.
        words: The data, as a person would say it.
    """

    letter: str
    names: tuple[str, ...]
    words: str


def comparison(runs: Mapping[str, RunFiles]) -> dict[str, Any]:
    """What the template needs to show runs side by side.

    Args:
        runs: Two or more runs by the name they carry on the page.
    """
    tables = {name: score_rows(run.records) for name, run in runs.items()}
    groups = grounds(runs)
    letters = {name: group.letter for group in groups for name in group.names}
    return {
        "names": list(runs),
        "letters": [letters.get(name, "") for name in runs],
        "apart": groups if len(groups) > 1 else [],
        "verdicts": _verdicts(groups, tables),
        "rows": _score_rows(tables, letters),
        "shots": [
            {"title": f"{name}: {SIZES[shots]}", "rows": rows}
            for shots, name in SHOTS.items()
            if (rows := _score_rows(tables, letters, shots))
        ],
        "differences": differing_settings([run.config for run in runs.values()]),
        "shared": charts.bound_curve(runs),
        "loss": charts.loss_curve(runs) if any(run.steps for run in runs.values()) else None,
        "knn_title": knn_title(runs.values(), "examples"),
        "knn": charts.knn_curve(runs) if any(run.knn for run in runs.values()) else None,
        "rate": charts.learning_rate_curve(runs)
        if any(run.steps for run in runs.values())
        else None,
    }


def _verdicts(groups: Sequence[Ground], tables: Mapping[str, Sequence[Row]]) -> list[str]:
    """Who leads, in one sentence for each group of runs that were judged on the same data."""
    found = [
        (group.letter, run_verdict(group.names, [tables[name] for name in group.names]))
        for group in groups
    ]
    return [
        f"On data {letter}: {sentence}" if letter else sentence
        for letter, sentence in found
        if sentence
    ]


def _score_rows(
    tables: Mapping[str, Sequence[Row]], letters: Mapping[str, str], shots: str | None = None
) -> list[dict[str, Any]]:
    """The encoder's score of every run by protocol, over all classes or those of a size."""
    shown = []
    for held in _aligned(tables):
        row = next(row for row in held.values() if row)
        found = {name: row.of(shots).get("encoder") if row else None for name, row in held.items()}
        cells = _cells(found, letters, row)
        if any(cells):
            shown.append({"title": row.title, "detail": row.detail, "cells": cells})
    return shown


def _aligned(tables: Mapping[str, Sequence[Row]]) -> list[dict[str, Row | None]]:
    """The rows of all runs under one protocol, for every protocol that a run has."""
    keyed = {
        name: {(row.protocol, row.metric, row.parameters): row for row in rows}
        for name, rows in tables.items()
    }
    keys = dict.fromkeys(key for rows in keyed.values() for key in rows)
    return [{name: rows.get(key) for name, rows in keyed.items()} for key in keys]


def _cells(
    scores: Mapping[str, Score | None], letters: Mapping[str, str], row: Row
) -> list[dict[str, Any] | None]:
    """A cell for each run; of those on the same data the best is marked, and what is level."""
    best: dict[str, Score] = {}
    for letter in set(letters.values()):
        rivals = [score for name, score in scores.items() if score and letters.get(name) == letter]
        if (row.is_accuracy or row.is_compared) and len(rivals) > 1:
            choose = min if row.measure.better == "lower" else max
            best[letter] = choose(rivals, key=lambda score: score.value)
    cells = {name: score_cell(score, is_accuracy=row.is_accuracy) for name, score in scores.items()}
    return [
        cell and {**cell, "mark": _mark(scores[name], best.get(letters.get(name, "")), row)}
        for name, cell in cells.items()
    ]


def _mark(score: Score | None, best: Score | None, row: Row) -> str | None:
    """`best`, `level` with the best within the noise, or neither."""
    if score is None or best is None:
        return None
    if score is best:
        return "best"
    return "level" if row.lead(best, score).outcome == "level" else None


def differing_settings(configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs, by dotted name."""
    flat = [flat_settings(config) for config in configs]
    names = list(dict.fromkeys(name for config in flat for name in config))
    rows = [(name, [setting_text(config.get(name)) for config in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def grounds(runs: Mapping[str, RunFiles]) -> list[Ground]:
    """Groups of judged runs whose figures may be compared.

    A run that does not say what it was judged on stands by itself.

    Args:
        runs: By the names that they carry on the page; those without figures are left out.
    """
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        if run.records:
            groups.setdefault(run.judged_on or f"unknown: {name}", []).append(name)
    return [
        Ground(
            _letter(place) if len(groups) > 1 else "",
            tuple(names),
            _words(runs[names[0]], known=not key.startswith("unknown")),
        )
        for place, (key, names) in enumerate(groups.items())
    ]


def _letter(place: int) -> str:
    """A to Z, then A2 and so on."""
    round_, letter = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(round_ + 1) if round_ else "")


def _words(run: RunFiles, *, known: bool) -> str:
    """Source, folder and size of the data that a run was judged on."""
    data = run.config.get("data", {})
    counts = [record["n"] for record in run.records if record.get("metric") == "top1"]
    parts = [str(data.get("name", "unknown data"))]
    if data.get("root"):
        parts.append(f"in {data['root']}")
    if counts:
        parts.append(f"{max(counts):,} test examples")
    if "class_names" in run.arrays:
        parts.append(f"{len(run.arrays['class_names']):,} classes")
    if not known:
        parts.append("no fingerprint of the data was kept")
    return ", ".join(parts)
