"""The charts of running jobs: every figure that was logged, against steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from nearfar.report.charts import CLASS_COLOURS, dash, frame, plain, shortened
from nearfar.web.run_curves import Logged

_MOST_CHARTS = 60
"""Of figures that nearfar does not know by name: a plug-in may log anything."""
_OF_ONE_RUN = ("accent", "orange", "class-4", "class-2")


@dataclass(frozen=True)
class _Kind:
    """A chart that is known by name.

    Attributes:
        title: Above it.
        axis: What stands beside it.
        curves: What it shows, by what is logged, and what the legend calls each.
        factor: What values are multiplied by.
    """

    title: str
    axis: str
    curves: Mapping[str, str]
    factor: float = 1.0


_KINDS = (
    _Kind("Loss", "loss", {"loss": "loss"}),
    _Kind("kNN", "top-1, %", {"knn.top1": "top-1"}, 100.0),
    _Kind("Linear classifier beside the run", "top-1, %", {"online_probe": "top-1"}, 100.0),
    _Kind(
        "Directions that a batch takes",
        "effective rank",
        {"feature_rank": "features", "embedding_rank": "embeddings"},
    ),
    _Kind(
        "Spread of a batch",
        "spread",
        {"feature_spread": "features", "embedding_spread": "embeddings"},
    ),
    _Kind(
        "What two views share, at least",
        "nats",
        {"mutual_information_bound": "bound", "mutual_information_ceiling": "log N"},
    ),
    _Kind("Alignment", "mean squared distance", {"alignment": "alignment"}),
    _Kind("Uniformity", "log of a mean", {"uniformity": "uniformity"}),
    _Kind(
        "Positives that are nearest of all",
        "share, %",
        {"nearest_is_positive": "share"},
        100.0,
    ),
    _Kind("Learning rate", "learning rate", {"learning_rate": "rate"}),
    _Kind("Gradient", "norm", {"gradient_norm": "norm"}),
    _Kind("Speed", "examples/s", {"examples_per_second": "speed"}),
)
_BESIDE = ("threads", "knn.top5")
"""What is logged and has no chart."""


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        id: The same for the same figures.
        title: Above it.
        figure: Without colours, as those of a report.
    """

    id: str
    title: str
    figure: go.Figure


def live_charts(runs: Mapping[str, Logged]) -> list[Chart]:
    """A chart for each figure that one of the runs has logged, the best known first.

    Args:
        runs: By the names that their lines carry.
    """
    return [_chart(kind, runs) for kind in _kinds(list(runs.values()))]


def _kinds(runs: Sequence[Logged]) -> Iterator[_Kind]:
    logged = dict.fromkeys(name for run in runs for name in run.curves)
    known = {name for kind in _KINDS for name in kind.curves} | set(_BESIDE)
    for kind in _KINDS:
        there = {name: said for name, said in kind.curves.items() if name in logged}
        if there and set(there) != {"mutual_information_ceiling"}:
            title = _knn_title(runs) if "knn.top1" in there else kind.title
            yield _Kind(title, kind.axis, there, kind.factor)
    for name in [each for each in logged if each not in known][:_MOST_CHARTS]:
        said = name.replace("_", " ").replace(".", ": ")
        yield _Kind(said[:1].upper() + said[1:], "", {name: said})


def _knn_title(runs: Sequence[Logged]) -> str:
    asked = {run.asked for run in runs if "knn.top1" in run.curves}
    if asked == {"held out"}:
        return "kNN on held-out training examples"
    if "held out" not in asked:
        return "kNN on examples that were trained on"
    return "kNN on training examples, held out in some runs alone"


def _chart(kind: _Kind, runs: Mapping[str, Logged]) -> Chart:
    figure = frame("step", kind.axis)
    for at, (run, held) in enumerate(runs.items()):
        for line, (name, said) in enumerate(kind.curves.items()):
            if name not in held.curves:
                continue
            x, y = held.curves[name]
            several = len(kind.curves) > 1
            of_run = f"{shortened(run)}, {said}" if several else shortened(run)
            title = said if len(runs) == 1 else of_run
            figure.add_scatter(
                x=x,
                y=[kind.factor * value for value in y],
                mode="lines+markers" if len(x) < 20 else "lines",
                name=plain(title),
                meta={"colour": _colour(at, line, len(runs))},
                line={"dash": dash(line if several or len(runs) == 1 else at)},
                hovertemplate="step %{x:,.0f}: %{y:.4g}",
            )
    figure.update_layout(showlegend=len(figure.data) > 1)  # pyright: ignore[reportArgumentType]
    return Chart("-".join(kind.curves).replace(".", "-"), kind.title, figure)


def _colour(run: int, line: int, runs: int) -> str:
    """Of several runs each has a colour, of one run each of its lines."""
    return _OF_ONE_RUN[line % 4] if runs == 1 else f"class-{run % CLASS_COLOURS}"
