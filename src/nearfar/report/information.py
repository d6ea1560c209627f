"""Mutual information as the page shows it: bounds beside their limits, curves, warnings."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from nearfar.information.result import BoundEstimate, MutualInformation
from nearfar.report.charts import CLASS_COLOURS, dash, frame, plain
from nearfar.report.settings import setting_groups

MARKERS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "x",
    "cross",
    "star",
    "pentagon",
    "hexagon",
)


def information_section(found: MutualInformation, anchor: str) -> dict[str, Any]:
    """Everything the template needs.

    Args:
        found: What `nearfar mi` wrote.
        anchor: Prefix of the ids on the page.
    """
    return {
        "anchor": f"{anchor}-information",
        "title": f"Mutual information of {found.names[0]} and {found.names[1]}",
        "summary": _summary(found),
        "lead": _lead(found),
        "bounds": bounds_chart(found),
        "curves": curves_chart(found),
        "rows": [_row(estimate) for estimate in found.estimates],
        "warnings": [
            *(("All", warning) for warning in found.warnings),
            *(
                (estimate.title, warning)
                for estimate in found.estimates
                for warning in estimate.warnings
            ),
        ],
        "command": found.command,
        "settings": setting_groups({**asdict(found.settings), "versions": found.versions}),
    }


def bounds_chart(found: MutualInformation) -> go.Figure:
    """Value and interval of every bound; log N, KSG and the label's entropy as lines across."""
    figure = frame("", "nats")
    for place, estimate in enumerate(found.estimates):
        if not isfinite(estimate.value):
            continue
        low, high = estimate.interval
        figure.add_scatter(
            x=[plain(estimate.title)],
            y=[estimate.value],
            error_y={
                "array": [high - estimate.value],
                "arrayminus": [estimate.value - low],
                "thickness": 2,
                "width": 6,
            },
            mode="markers",
            name=plain(estimate.title),
            meta={"colour": _colour(place)},
            marker={"symbol": MARKERS[place % len(MARKERS)], "size": 8},
            hovertemplate=f"%{{y:.2f}} nats, {low:.2f} to {high:.2f}",
        )
    lines = [
        (found.ceiling, f"log N = {found.ceiling:.2f}, the ceiling of InfoNCE", "dot"),
        (found.ksg, f"KSG {found.ksg or 0:.2f}", "dash"),
        (found.label_entropy, f"H(Z) = {found.label_entropy or 0:.2f}", "longdashdot"),
    ]
    drawn = sorted((value, text, style) for value, text, style in lines if value is not None)
    for place, (value, text, style) in enumerate(drawn):
        figure.add_hline(
            y=value,
            line={"dash": style, "width": 1.5},
            annotation_text=text,
            # Lines can lie close: the words of the lowest stand below it, the others' above.
            annotation_position="bottom right" if place == 0 and len(drawn) > 1 else "top right",
        )
    figure.update_layout(showlegend=False)
    # Room on the right, where what the lines are is written.
    figure.update_xaxes(range=[-0.5, len(found.estimates) + 0.4])
    figure.update_yaxes(rangemode="tozero")
    return figure


def curves_chart(found: MutualInformation) -> go.Figure:
    """Value on the validation part against steps, one line a bound; a mark where it was kept."""
    figure = frame("step", "nats on validation")
    for place, estimate in enumerate(found.estimates):
        known = [(step, value) for step, value in estimate.curve if isfinite(value)]
        figure.add_scatter(
            x=[step for step, _ in known],
            y=[value for _, value in known],
            mode="lines+markers",
            name=plain(estimate.title),
            meta={"colour": _colour(place)},
            line={"dash": dash(place)},
            marker={
                "symbol": MARKERS[place % len(MARKERS)],
                "size": [10 if step == estimate.best_step else 0.1 for step, _ in known],
            },
            hovertemplate="step %{x}: %{y:.2f} nats",
        )
    figure.add_hline(
        y=found.ceiling,
        line={"dash": "dot", "width": 1.5},
        annotation_text="log N",
        annotation_position="bottom right",
    )
    figure.update_yaxes(range=_within(found.estimates, found.ceiling))
    return figure


def _within(estimates: Sequence[BoundEstimate], ceiling: float) -> list[float]:
    """The range that is worth seeing: one that has run away would press all others flat."""
    highest = max([ceiling, *(each.value for each in estimates if isfinite(each.value))])
    return [min(-0.5, -0.1 * highest), 1.15 * highest]


def _lead(found: MutualInformation) -> str:
    """What can be said, at its strongest: the highest lower bound that nothing speaks against."""
    trusted = [each for each in found.estimates if each.is_lower_bound and not each.warnings]
    if not trusted or found.warnings:
        return "No lower bound is free of warnings: read them before any of these values."
    best = max(trusted, key=lambda each: each.interval[0])
    if best.interval[0] <= 0:
        return "No information was found: the interval of every trusted lower bound takes in 0."
    return (
        f"At least about {best.value:.2f} nats, by {best.title} "
        f"({best.interval[0]:.2f} to {best.interval[1]:.2f})."
    )


def _summary(found: MutualInformation) -> str:
    """What was compared, and with how much."""
    z = f"{found.other_features} columns" if found.classes is None else f"{found.classes} classes"
    samples = found.samples
    total = samples.training + samples.validation + samples.test
    return (
        f"{total:,} pairs of {found.features} columns and {z}: critics learnt from "
        f"{samples.training:,}, stopped by {samples.validation:,}, and the other "
        f"{samples.test:,}, which they never saw, gave the values in batches of "
        f"{found.settings.batch_size}."
    )


def _row(estimate: BoundEstimate) -> dict[str, Any]:
    """One bound as text."""
    low, high = estimate.interval
    effective = estimate.effective_samples
    return {
        "title": estimate.title,
        "kind": "lower bound" if estimate.is_lower_bound else "estimate, no bound",
        "value": f"{estimate.value:.2f}",
        "interval": f"{low:.2f} to {high:.2f}",
        "sd": f"{estimate.sd:.2f}",
        "training": f"{estimate.training_value:.2f}",
        "effective": "–" if effective is None else f"{effective:,.0f}",
        "steps": f"{estimate.best_step:,} of {estimate.steps:,}",
        "warned": bool(estimate.warnings),
    }


def _colour(place: int) -> str:
    return f"class-{place % CLASS_COLOURS}"
