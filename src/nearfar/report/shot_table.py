"""Accuracy by size of class as a table: all classes, then those of many, medium and few images."""

from collections.abc import Sequence
from typing import Any

from nearfar.report.score_table import score_cell
from nearfar.report.scores import SHOTS, SIZES, Row
from nearfar.report.verdict import percent

BASELINE_NAMES = {"raw": "raw", "untrained": "untrained"}


def shot_table(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The encoder's accuracy by size of class, its baselines' beneath; None for balanced data.

    Args:
        rows: The rows of one run's evaluation.
    """
    told = [row for row in rows if row.by_shots and "encoder" in row.scores]
    if not told:
        return None
    groups = [shots for shots in SHOTS if any(shots in row.by_shots for row in told)]
    classes = {shots: row.classes[shots] for row in told for shots in row.by_shots}
    return {
        "groups": [
            {"title": "All classes", "detail": ""},
            *(
                {"title": SHOTS[shots], "detail": f"{_classes(classes[shots])}, {SIZES[shots]}"}
                for shots in groups
            ),
        ],
        "rows": [
            {
                "title": row.title,
                "detail": row.detail,
                "cells": [_cell(row, shots) for shots in (None, *groups)],
            }
            for row in told
        ],
    }


def _cell(row: Row, shots: str | None) -> dict[str, Any] | None:
    """The encoder's score over all classes or one group, and what the baselines have there."""
    scores = row.of(shots)
    cell = score_cell(scores.get("encoder"), is_accuracy=True)
    beneath = [
        f"{name} {percent(scores[feature].value)}"
        for feature, name in BASELINE_NAMES.items()
        if feature in scores
    ]
    return cell and {**cell, "baselines": beneath}


def _classes(count: int) -> str:
    return f"{count} class{'' if count == 1 else 'es'}"
