"""The scores of a run as tables: encoder against its baselines, and by size of class."""

from collections.abc import Sequence
from typing import Any

from nearfar.report.scores import FEATURES, SHOTS, SIZES, Row, shown_interval
from nearfar.report.uncertainty import Score
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
        "accuracies": any(row.is_accuracy for row in rows),
        "figures": any(not row.is_accuracy for row in rows),
        "lead": {"raw": "raw data", "start": "its start", "untrained": "untrained"}[baseline]
        if baseline and any(row["gap"] for row in shown)
        else None,
    }


def further_measures(rows: Sequence[Row], one: str) -> dict[str, list[str]]:
    """What the table of further measures holds: their names, and what their figures say.

    Args:
        rows: The rows of the table, none of them of top-1 accuracies.
        one: What an example is called.
    """
    told = {}
    for row in rows:
        if row.is_accuracy:
            told["top-5"] = "Top-5 in per cent"
        else:
            said = row.measure.explained.format(one=one)
            told[row.measure.short] = f"{row.title}: {said}" if said else row.title
    return {"names": list(told), "said": list(told.values())}


def _gap(row: Row, baseline: str | None) -> dict[str, str] | None:
    """How much better the encoder is than a baseline, in points or figures, where both have one."""
    if not (row.is_accuracy or row.is_compared):
        return None
    if baseline not in row.scores or "encoder" not in row.scores:
        return None
    gap = row.lead(row.scores["encoder"], row.scores[baseline])
    told = signed if row.is_accuracy else _signed_figure
    return {
        "outcome": gap.outcome,
        "value": told(gap.value),
        "interval": f"{told(gap.low)} to {told(gap.high)}",
    }


def score_cell(score: Score | None, *, is_accuracy: bool) -> dict[str, Any] | None:
    """Value and uncertainty of one score as text, and as shares for the bar behind them."""
    if score is None:
        return None
    if not is_accuracy:
        error = score.standard_error
        spread = "" if error is None else f"± {error:.3f}"
        return {"value": f"{score.value:.3f}".replace("-", "−"), "spread": spread, "share": None}
    low, high = shown_interval(score)
    spread = "" if low == high else f"{percent(low)}–{percent(high)}"
    if score.sd is not None:
        spread = f"± {percent(score.sd)}"
    return {"value": percent(score.value), "spread": spread, "share": score.value}


def signed(gap: float) -> str:
    """A difference of fractions in percentage points with its sign."""
    text = percent(gap)
    return "0.0" if text in {"0.0", "−0.0"} else text if gap < 0 else f"+{text}"


def _signed_figure(gap: float) -> str:
    """A difference of figures that are no shares of examples, with its sign."""
    text = f"{gap:+.3f}".replace("-", "−")
    return text[1:] if float(f"{gap:.3f}") == 0 else text


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
        f"{feature} {percent(scores[feature].value)}" for feature in BASELINES if feature in scores
    ]
    return cell and {**cell, "baselines": beneath}


def _classes(count: int) -> str:
    return f"{count} class{'' if count == 1 else 'es'}"
