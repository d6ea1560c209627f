"""The scores of a run as a table: encoder against its baselines, a row for each protocol."""

from collections.abc import Sequence
from typing import Any

from nearfar.report.scores import FEATURES, Row, shown_interval
from nearfar.report.uncertainty import Score, difference
from nearfar.report.verdict import BASELINES, percent


def score_table(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Encoder against its baselines, a row for each protocol; the lead is over the first."""
    if not rows:
        return None
    features = [name for name in FEATURES if any(name in row.scores for row in rows)]
    baseline = next((name for name in BASELINES if name in features), None)
    shown = [
        {
            "title": row.title,
            "detail": row.detail,
            "cells": [
                score_cell(row.scores.get(name), is_accuracy=row.is_accuracy) for name in features
            ],
            "gap": _gap(row, baseline),
        }
        for row in rows
    ]
    return {
        "features": [FEATURES[name] for name in features],
        "rows": shown,
        "lead": {"raw": "raw data", "untrained": "untrained"}[baseline]
        if baseline and any(row["gap"] for row in shown)
        else None,
    }


def _gap(row: Row, baseline: str | None) -> dict[str, str] | None:
    """Encoder minus baseline in points, where both have an accuracy."""
    if not row.is_accuracy or baseline not in row.scores or "encoder" not in row.scores:
        return None
    gap = difference(row.scores["encoder"], row.scores[baseline])
    return {
        "outcome": gap.outcome,
        "value": signed(gap.value),
        "interval": f"{signed(gap.low)} to {signed(gap.high)}",
    }


def score_cell(score: Score | None, *, is_accuracy: bool) -> dict[str, Any] | None:
    """Value and uncertainty of one score as text, and as shares for the bar behind them."""
    if score is None:
        return None
    if not is_accuracy:
        return {"value": f"{score.value:.3f}".replace("-", "−"), "spread": "", "share": None}
    low, high = shown_interval(score)
    spread = f"± {percent(score.sd)}" if score.sd is not None else f"{percent(low)}–{percent(high)}"
    return {"value": percent(score.value), "spread": spread, "share": score.value}


def signed(gap: float) -> str:
    """A difference of fractions in percentage points with its sign."""
    text = percent(gap)
    return "0.0" if text in {"0.0", "−0.0"} else text if gap < 0 else f"+{text}"
