"""The two-dimensional map of features as a chart: a few classes by colour, all others in grey."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from nearfar.evaluation.evaluation_spec import giver_of
from nearfar.report.charts import CLASS_COLOURS, frame, plain, shortened

_NO_GREYS = (0, 1, 2, 4, 5, 6, 7, 9)
"""Colours of the page that stand out among grey points."""


def embedding_map(arrays: Mapping[str, np.ndarray], class_names: Sequence[str]) -> go.Figure:
    """The map of test examples: a colour a class, wrong answers as crosses, names in place.

    Eyes tell about ten colours apart. Of more classes, the eight with most examples on show have
    one that is no grey, and all others are grey; the page finds each by its name.

    Args:
        arrays: Of the evaluation.
        class_names: Of every class.
    """
    figure = frame("", "")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    figure.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, legend_itemsizing="constant")
    points = arrays["shown_map"]
    labels = arrays.get("shown_labels")
    if labels is None:
        _add_points(figure, points, np.arange(len(points)), "example", "accent", None)
        figure.update_layout(showlegend=False)
        return figure
    predictions = arrays.get("shown_predictions")
    wrong = None if predictions is None else predictions != labels
    coloured = classes_in_colour(labels)
    others = np.flatnonzero(~np.isin(labels, coloured))
    if len(others):
        count = len(np.unique(labels[others]))
        name = f"{count:,} other class{'es' if count > 1 else ''}"
        _add_points(figure, points, others, name, "grey", wrong)
    for place, label in enumerate(coloured):
        rows = np.flatnonzero(labels == label)
        name = plain(shortened(class_names[label]))
        colour = _NO_GREYS[place] if len(others) else place
        _add_points(figure, points, rows, name, f"class-{colour}", wrong)
        x, y = _medoid(points[rows])
        figure.add_annotation(x=x, y=y, text=f"<b>{name}</b>", showarrow=False, name="label")
    if wrong is not None and wrong.any():
        _add_legend(figure, f"{giver_of('shown_predictions').short()} is wrong", "ink", "x")
    return figure


def classes_in_colour(labels: np.ndarray) -> list[int]:
    """All classes, of more than ten the eight with most examples; in the order of their numbers."""
    present, counts = np.unique(labels, return_counts=True)
    most = CLASS_COLOURS if len(present) <= CLASS_COLOURS else len(_NO_GREYS)
    return sorted(present[np.argsort(-counts, kind="stable")[:most]].tolist())


def _add_points(
    figure: go.Figure,
    points: np.ndarray,
    rows: np.ndarray,
    name: str,
    colour: str,
    wrong: np.ndarray | None,
) -> None:
    """Points of one class or of many; `customdata` is the row in the contact sheet.

    The legend gets a point of its own: it would show the first one's symbol, and a class of which
    all are wrong would stand there as a cross.
    """
    missed = np.zeros(len(rows), bool) if wrong is None else wrong[rows]
    figure.add_scatter(
        x=points[rows, 0],
        y=points[rows, 1],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        customdata=rows.tolist(),
        meta={"colour": colour},
        marker={
            "symbol": np.where(missed, "x", "circle").tolist(),
            "size": np.where(missed, 9, 6).tolist(),
            "opacity": 0.4 if colour == "grey" else 0.85,
            "line": {"width": 0},
        },
        hoverinfo="none",
    )
    _add_legend(figure, name, colour, "circle")


def _add_legend(figure: go.Figure, name: str, colour: str, symbol: str) -> None:
    """A line of the legend that stands for no point."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=True,
        customdata=[],
        meta={"colour": colour},
        marker={"symbol": symbol, "size": 9},
        hoverinfo="skip",
    )


def _medoid(points: np.ndarray) -> np.ndarray:
    """The point nearest to all others: inside a group, even where a class falls into several."""
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    return points[gaps.sum(axis=1).argmin()]
