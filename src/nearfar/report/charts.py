"""The page's charts as plotly figures, without colours: the page paints them, light or dark.

Every trace names its colour in `meta["colour"]`, a custom property of the page's style sheet.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nearfar.errors import SettingError
from nearfar.evaluation.evaluation_spec import in_order, short_name
from nearfar.evaluation.measures import Curve
from nearfar.methods.method_spec import MethodSpec
from nearfar.report.run_files import RunFiles
from nearfar.report.scores import FEATURES, Row, shown_interval
from nearfar.spec import as_spec

LARGEST_CURVE = 400
"""Points of a curve; longer ones are averaged in bins, so that a page stays small."""
CLASS_COLOURS = 10
LONGEST_NAME = 32
"""Letters of a class's name that a chart shows."""
BINS = 50
CLASS_MARKS = (
    ("accent", "circle"),
    ("orange", "square"),
    ("class-4", "diamond"),
    ("class-2", "cross"),
    ("grey", "triangle-up"),
)
"""Colour and shape of the classes' accuracies, a pair for each protocol."""
SIZE_LIMITS = (20, 100)
"""Training images between classes of few, medium and many."""
FEATURE_STYLE = {
    "encoder": ("accent", "solid", "circle"),
    "embedding": ("class-4", "longdash", "cross"),
    "start": ("class-2", "dashdot", "x"),
    "raw": ("orange", "dash", "square"),
    "untrained": ("grey", "dot", "diamond"),
}


def plain(text: object) -> str:
    """Text that plotly shows letter by letter: it reads labels as a kind of HTML."""
    return escape(str(text), quote=False)


def shortened(name: str) -> str:
    """A class's name as a chart has room for it: of a long one the beginning and the end."""
    if len(name) <= LONGEST_NAME:
        return name
    kept = LONGEST_NAME - 1
    return f"{name[: kept - kept // 3]}…{name[-(kept // 3) :]}"


def loss_curve(runs: Mapping[str, RunFiles], chance: float | None = None) -> go.Figure:
    """Loss against epochs, one line a run; `chance` adds the level of guessing."""
    figure = _curves(runs, "loss", "loss")
    if chance is not None:
        figure.add_hline(
            y=chance,
            line={"dash": "dot", "width": 1.5},
            annotation_text=f"guessing: {chance:.2f}",
            annotation_position="bottom right",
        )
    return figure


def bound_curve(
    runs: Mapping[str, RunFiles], quantity: str = "mutual_information_bound"
) -> go.Figure | None:
    """InfoNCE's bound against epochs, below the log N that it cannot exceed; one line a run.

    Args:
        runs: By the names that they carry on the page; those that did not log the bound are left
            out.
        quantity: Which bound; `bound_1` is CPC's of the next step.

    Returns:
        None where no run has logged it.
    """
    logged = {
        name: [line for line in run.steps if line.get(quantity) is not None]
        for name, run in runs.items()
    }
    logged = {name: lines for name, lines in logged.items() if lines}
    if not logged:
        return None
    figure = frame("epoch", "nats")
    for place, (name, run) in enumerate(runs.items()):
        if name in logged:
            _add_curve(figure, run, quantity, name, _run_colour(place, runs), place)
    ceilings = {lines[-1]["mutual_information_ceiling"] for lines in logged.values()}
    for ceiling in sorted(ceilings):
        figure.add_hline(
            y=ceiling,
            line={"dash": "dot", "width": 1.5},
            annotation_text=f"log N: {ceiling:.2f}",
            annotation_position="bottom right",
        )
    # Plotly does not count such lines as data and would leave them outside.
    lowest = min(line[quantity] for lines in logged.values() for line in lines)
    figure.update_yaxes(range=[min(0.0, lowest), 1.08 * max(ceilings)])
    return figure


def rank_curve(run: RunFiles) -> go.Figure | None:
    """Effective rank of features and of embeddings against epochs; None where not looked at."""
    shown = {"features": "feature_rank", "embeddings": "embedding_rank"}
    logged = {
        name: quantity
        for name, quantity in shown.items()
        if any(line.get(quantity) is not None for line in run.steps)
    }
    if not logged:
        return None
    figure = frame("epoch", "effective rank")
    for place, (name, quantity) in enumerate(logged.items()):
        _add_curve(figure, run, quantity, name, ("accent", "orange")[place], place)
    figure.update_yaxes(rangemode="tozero")
    return figure


def learning_rate_curve(runs: Mapping[str, RunFiles]) -> go.Figure:
    """Learning rate against epochs, one line a run."""
    figure = _curves(runs, "learning_rate", "learning rate")
    figure.update_yaxes(rangemode="tozero", exponentformat="e", nticks=5)
    return figure


def knn_curve(runs: Mapping[str, RunFiles]) -> go.Figure:
    """KNN top-1 of the check during training against epochs, one line a run."""
    figure = frame("epoch", "kNN top-1, %")
    for place, (name, run) in enumerate(runs.items()):
        figure.add_scatter(
            x=[line["epoch"] for line in run.knn],
            y=[100 * line["top1"] for line in run.knn],
            mode="lines+markers",
            name=plain(name),
            meta={"colour": _run_colour(place, runs)},
            line={"dash": dash(place)},
            hovertemplate="epoch %{x:.0f}: %{y:.1f} %",
        )
    return figure


def accuracy_curves(rows: Sequence[Row]) -> list[tuple[str, go.Figure]]:
    """For each measure that has a curve: its title, and accuracies along a parameter.

    Args:
        rows: Of one run.
    """
    by_measure: dict[str, list[Row]] = {}
    for row in rows:
        if row.measure.curve and row.metric == "top1":
            by_measure.setdefault(row.protocol, []).append(row)
    curves = [(held[0].measure.curve, held) for held in by_measure.values() if len(held) > 1]
    return [(curve.title, _accuracy_curve(held, curve)) for curve, held in curves if curve]


def _accuracy_curve(rows: Sequence[Row], curve: Curve) -> go.Figure:
    """One line a feature, with the spread over draws."""
    figure = frame(curve.axis, "accuracy, %")
    for feature, name in FEATURES.items():
        judged = [row for row in rows if feature in row.scores]
        if not judged:
            continue
        scores = [row.scores[feature] for row in judged]
        figure.add_scatter(
            x=[dict(row.parameters)[curve.parameter] for row in judged],
            y=[100 * score.value for score in scores],
            error_y={
                "array": [100 * (shown_interval(score)[1] - score.value) for score in scores],
                "arrayminus": [100 * (score.value - shown_interval(score)[0]) for score in scores],
                "thickness": 1.5,
                "width": 4,
            },
            **_feature_style(feature),
            name=name,
            hovertemplate=f"%{{y:.1f}} % with %{{x}} {curve.axis}",
        )
    ticks = [dict(row.parameters)[curve.parameter] for row in rows]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[str(tick) for tick in ticks])
    return figure


def class_accuracy(
    arrays: Mapping[str, np.ndarray], class_names: Sequence[str]
) -> go.Figure | None:
    """Accuracy of each class against its training images, a mark a class; None where all are even.

    Args:
        arrays: Of the evaluation; `class_counts` and `class_accuracy_PROTOCOL` are shown.
        class_names: Of every class.
    """
    counts = arrays.get("class_counts")
    if counts is None:
        return None
    figure = frame("training examples of the class", "accuracy, %")
    prefix = "class_accuracy_"
    judged = [name.removeprefix(prefix) for name in arrays if name.startswith(prefix)]
    for protocol, (colour, symbol) in zip(in_order(judged), cycle(CLASS_MARKS), strict=False):
        accuracies = arrays[prefix + protocol]
        known = np.flatnonzero(np.isfinite(accuracies) & (counts > 0))
        figure.add_scatter(
            x=counts[known],
            y=100 * accuracies[known],
            mode="markers",
            name=plain(short_name(protocol)),
            text=[plain(shortened(class_names[label])) for label in known.tolist()],
            meta={"colour": colour},
            marker={"symbol": symbol, "size": 8, "opacity": 0.75},
            hovertemplate="%{text}: %{y:.1f} % with %{x} to learn from",
        )
    for size in SIZE_LIMITS:
        figure.add_vline(x=size, line={"dash": "dot", "width": 1.5})
    ticks = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[str(tick) for tick in ticks])
    figure.update_yaxes(range=[-3, 103])
    return figure


def distance_histograms(positive: np.ndarray, random: np.ndarray, *, top: float) -> go.Figure:
    """Distances on the unit sphere of two views of one image and of views of two images.

    Args:
        positive: Distances of two views of one image, 0 to 2.
        random: Distances of views of two images, 0 to 2.
        top: Where the axis ends, so that several histograms share it.
    """
    figure = frame("distance", "share of pairs, %")
    edges = np.linspace(0, top, BINS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    styles = {
        "two views of one": (positive, "accent", "solid"),
        "views of two": (random, "orange", "dash"),
    }
    for name, (distances, colour, dash) in styles.items():
        counts, _ = np.histogram(distances.clip(0, top), bins=edges)
        figure.add_scatter(
            x=centres,
            y=100 * counts / max(1, counts.sum()),
            mode="lines",
            line={"shape": "hvh", "width": 2, "dash": dash},
            fill="tozeroy",
            name=name,
            meta={"colour": colour, "fill": 0.22},
            hovertemplate="%{y:.1f} % near %{x:.2f}",
        )
    figure.update_xaxes(range=[0, top])
    figure.update_yaxes(rangemode="tozero")
    return figure


def chance_loss(config: Mapping[str, Any]) -> float | None:
    """Loss of a method where all embeddings are equal, in nats; None where that is no guessing.

    Args:
        config: Of the run.
    """
    method, batch = config.get("method", {}), config.get("training", {}).get("batch_size")
    if not batch or method.get("name") not in MethodSpec.known():
        return None
    try:
        return as_spec(MethodSpec, method).chance_loss(batch)
    except SettingError:  # of a plug-in that is not installed here, or of another version
        return None


def _curves(runs: Mapping[str, RunFiles], quantity: str, title: str) -> go.Figure:
    figure = frame("epoch", title)
    for place, (name, run) in enumerate(runs.items()):
        _add_curve(figure, run, quantity, name, _run_colour(place, runs), place)
    return figure


def _add_curve(
    figure: go.Figure, run: RunFiles, quantity: str, name: str, colour: str, place: int
) -> None:
    """A quantity of a run's steps against epochs, as a line of its own."""
    lines = [line for line in run.steps if line.get(quantity) is not None]
    epochs, values = _binned(
        np.array([line["epoch"] for line in lines], dtype=float),
        np.array([line[quantity] for line in lines], dtype=float),
    )
    figure.add_scatter(
        x=epochs,
        y=values,
        mode="lines",
        name=plain(name),
        meta={"colour": colour},
        line={"dash": dash(place)},
        hovertemplate="epoch %{x:.1f}: %{y:.4g}",
    )


def _binned(epochs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of at most LARGEST_CURVE bins of neighbouring points."""
    if len(values) <= LARGEST_CURVE:
        return epochs, values
    bins = np.array_split(np.arange(len(values)), LARGEST_CURVE)
    return (
        np.array([epochs[rows].mean() for rows in bins]),
        np.array([values[rows].mean() for rows in bins]),
    )


def frame(x: str, y: str) -> go.Figure:
    """An empty figure with margins, legend and axes as all charts of the page have them.

    Args:
        x: Title of the axis along.
        y: Title of the axis up.
    """
    figure = go.Figure()
    figure.update_layout(
        template=None,
        autosize=True,
        hovermode="closest",
        margin={"l": 54, "r": 14, "t": 10, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
    )
    figure.update_xaxes(title={"text": x, "standoff": 8}, zeroline=False, automargin=True)
    figure.update_yaxes(title={"text": y, "standoff": 8}, zeroline=False, automargin=True)
    return figure


def _feature_style(feature: str) -> dict[str, Any]:
    colour, dash, symbol = FEATURE_STYLE[feature]
    return {
        "mode": "lines+markers",
        "meta": {"colour": colour},
        "line": {"dash": dash, "width": 2},
        "marker": {"symbol": symbol, "size": 8},
    }


def _run_colour(place: int, runs: Mapping[str, RunFiles]) -> str:
    return "accent" if len(runs) == 1 else f"class-{place % CLASS_COLOURS}"


def dash(place: int) -> str:
    """Tells lines apart without colour.

    Args:
        place: Of the line among all.
    """
    return ("solid", "dash", "dot", "dashdot", "longdash")[place % 5]
