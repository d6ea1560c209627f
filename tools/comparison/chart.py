"""The figure: every seed's accuracy, method by method, beside raw pixels and untrained weights."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nearfar.evaluation.records import FeatureKind
from nearfar.recipes.recipe import Recipe
from tools.comparison.experiments import CONTRASTIVE, learns_from_labels
from tools.comparison.page import in_order
from tools.comparison.scores import FEW_LABELS, KNN, Protocol, Scores
from tools.figure_file import STYLE, save

UNLABELLED, LABELLED = "#1f6fb4", "#c4571b"
BASELINE_STYLES: dict[FeatureKind, tuple[str, str]] = {
    "raw": ("raw pixels", "--"),
    "untrained": ("untrained", ":"),
}
INCHES_A_METHOD = 0.3


def draw(
    scores: Scores, experiments: Mapping[str, Recipe], names: Sequence[str], path: Path
) -> None:
    """Write the figure, the same bytes for the same figures.

    Args:
        names: Those to show, as far as they have run.
        path: Its ending says the format.
    """
    shown = in_order(scores, experiments, names)
    with mpl.rc_context(STYLE):
        figure = Figure((9, 1.4 + INCHES_A_METHOD * len(shown)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for panel, protocol in zip(axes, (KNN, FEW_LABELS), strict=True):
            _panel(panel, scores, experiments, shown, protocol)
        axes[0].set_yticks(range(len(shown)), shown)
        axes[0].set_ylim(-0.6, len(shown) - 0.4)
        handles = {each.get_label(): each for each in axes[0].get_lines()}
        handles = {label: each for label, each in handles.items() if not label.startswith("_")}
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, frameon=False)
        save(figure, path)


def _panel(
    axes: Axes,
    scores: Scores,
    experiments: Mapping[str, Recipe],
    names: Sequence[str],
    protocol: Protocol,
) -> None:
    """One protocol: a point a seed, a bar at their mean, a line for each baseline.

    What has an encoder of its own has its own untrained weights beside it.
    """
    for kind, (title, style) in BASELINE_STYLES.items():
        if values := scores.top1(CONTRASTIVE, protocol, kind).values():
            axes.axvline(statistics.mean(values), color="0.35", ls=style, lw=1, label=title)
    for place, name in enumerate(names):
        labelled = learns_from_labels(experiments[name])
        values = list(scores.top1(name, protocol).values())
        axes.plot(
            values,
            [place] * len(values),
            "o",
            color=LABELLED if labelled else UNLABELLED,
            ms=5,
            alpha=0.75,
            mew=0,
            label="learns from labels" if labelled else "learns without labels",
        )
        if values:
            mean = statistics.mean(values)
            axes.plot([mean, mean], [place - 0.28, place + 0.28], color="0.1", lw=1.2)
        own = scores.top1(name, protocol, "untrained").values()
        if own and name != CONTRASTIVE:
            axes.plot(
                list(own),
                [place] * len(own),
                "o",
                mfc="none",
                mec="0.35",
                ms=5,
                label="its own encoder, untrained",
            )
    axes.set_xlabel(f"{protocol.title}: top-1 accuracy, %")
    axes.grid(axis="x", color="0.9", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
