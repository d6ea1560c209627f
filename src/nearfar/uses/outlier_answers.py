"""Outliers as a table, as JSON and as a page."""

from pathlib import Path
from typing import Any

import numpy as np

from nearfar.report.charts import frame
from nearfar.uses.features_file import Features
from nearfar.uses.outliers import Outliers
from nearfar.uses.page import Chart, Page, Shown, Strip
from nearfar.uses.pictures import pictures_of

_SHOWN, _NEIGHBORS = 30, 8
_BINS = 60


def columns(found: Outliers, features: Features) -> dict[str, list[Any]]:
    """A line for each example, the one that lies farthest apart first."""
    rows = found.order.tolist()
    table = {
        "name": [features.names[row] for row in rows],
        "row": rows,
        "distance": found.distance[found.order].tolist(),
        "factor": found.factor[found.order].tolist(),
        "nearest": [features.names[row] for row in found.neighbors.rows[found.order, 0].tolist()],
    }
    if features.labels is not None:
        table["class"] = [features.class_of(row) for row in rows]
    return table


def facts(found: Outliers, features: Features) -> dict[str, Any]:
    """The same in JSON's own types."""
    table = columns(found, features)
    return {
        "k": found.neighbors.rows.shape[1],
        "examples": [
            dict(zip(table, line, strict=True)) for line in zip(*table.values(), strict=True)
        ],
    }


def lead(found: Outliers, features: Features) -> str:
    """What was found, in one sentence."""
    k = found.neighbors.rows.shape[1]
    scores = found.scores
    first = int(found.order[0])
    what = f"distance from neighbour {k}" if found.by == "distance" else "local outlier factor"
    return (
        f"{features.names[first]} lies farthest apart of {len(features):,} examples: {what} "
        f"{float(scores[first]):.3g}, where the median is {float(scores.median()):.3g}."
    )


def page_of(found: Outliers, features: Features, folder: Path | None, command: str) -> Page:
    """The outliers beside their neighbours, and how all scores are spread.

    Args:
        found: What was found.
        features: Of whom.
        folder: Where the files lie now, or None.
        command: That made the page.
    """
    shown = found.order[:_SHOWN].tolist()
    near = found.neighbors.rows[:, :_NEIGHBORS]
    rows = [*shown, *near[shown].flatten().tolist()]
    pictures, notes = pictures_of(features, rows, folder)
    strips = [
        Strip(
            Shown(str(features.names[row]), pictures.get(row), detail=features.class_of(row) or ""),
            [
                Shown(
                    str(features.names[other]),
                    pictures.get(other),
                    f"{float(similarity):.3f}",
                    detail=features.class_of(other) or "",
                )
                for other, similarity in zip(
                    near[row].tolist(), found.neighbors.similarities[row].tolist(), strict=False
                )
            ],
            f"{features.names[row]}: distance {float(found.distance[row]):.3f}, factor "
            f"{float(found.factor[row]):.2f}",
        )
        for row in shown
    ]
    k = found.neighbors.rows.shape[1]
    return Page(
        eyebrow="nearfar outliers",
        title="Outliers",
        summary=f"{len(features):,} examples by {features.features.shape[1]} features; distances "
        "on the unit sphere.",
        lead=lead(found, features),
        notes=notes,
        charts=[
            Chart(
                "All scores",
                f"Distance from neighbour {k}. Outliers are the end on the right: where it begins "
                "is yours to say.",
                _chart(found),
                "histogram of distances",
            )
        ],
        strips_title="What lies farthest apart",
        strips_note="In front the example, then its nearest neighbours with their cosine "
        "similarity.",
        strips=strips,
        command=command,
        left_out=len(features) - len(strips),
    )


def _chart(found: Outliers) -> Any:
    counts, edges = np.histogram(found.distance.numpy(), _BINS)
    figure = frame("distance", "examples")
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=float(edges[1] - edges[0]),
        meta={"colour": "accent"},
        hovertemplate="%{x:.3f}: %{y}<extra></extra>",
        showlegend=False,
    )
    return figure
