"""Accuracies of the arms of PaCo's studies: by size of class, by imbalance, by α."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from papers.figures import counts_on, panels, plot_spread
from papers.measurements import values
from papers.paco.setup import KNN, METHODS, OWN, PROBE, TITLES, arm
from papers.reproductions.yardstick import Shots, Yardstick

SHOTS: dict[Shots, str] = {
    "many": "many\n(over 100)",
    "medium": "medium\n(20 to 100)",
    "few": "few\n(under 20)",
}
_PERCENT = "top-1 in %"


def accuracies(
    results: pd.DataFrame, places: Mapping[str, float], yardstick: Yardstick
) -> pd.DataFrame:
    """A row for each run: its place on an axis and its accuracy in percent.

    Args:
        results: Raw results.
        places: Of the arms.
        yardstick: By which figure.
    """
    found = [
        pd.DataFrame({"x": place, "percent": 100 * yardstick.of(results, name).to_numpy()})
        for name, place in places.items()
    ]
    return pd.concat(found, ignore_index=True)


def by_shots(results: pd.DataFrame, imbalance: int, methods: Sequence[str]) -> Figure:
    """Each method on classes of many, medium and few examples, a panel a yardstick.

    Args:
        results: Raw results.
        imbalance: Factor.
        methods: Whose arms.
    """
    yardsticks = (PROBE, KNN, OWN)
    figure, axes = panels(len(yardsticks))
    for panel, yardstick in zip(axes, yardsticks, strict=True):
        for method in methods:
            name = arm(method, imbalance)
            found = [accuracies(results, {name: 0}, yardstick)]
            for place, shots in enumerate(SHOTS, 1):
                of_size = replace(yardstick, shots=shots)
                found.append(accuracies(results, {name: place}, of_size))
            rows = pd.concat(found, ignore_index=True)
            if not len(rows):
                continue  # it has no classifier of its own
            # Side by side, or the bars would hide each other.
            place = list(METHODS).index(method)
            rows["x"] += 0.07 * (place - 2)
            plot_spread(panel, rows, "x", "percent", place=place, label=TITLES[method], line="")
        panel.set_xticks(range(4), ["all", *SHOTS.values()])
        panel.set(title=yardstick.title, ylabel=_PERCENT)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def by_imbalance(
    results: pd.DataFrame, imbalances: Sequence[int], methods: Sequence[str]
) -> Figure:
    """Each method against the imbalance factor, a panel a yardstick.

    Args:
        results: Raw results.
        imbalances: Factors.
        methods: Whose arms.
    """
    figure, axes = panels(2)
    for panel, yardstick in zip(axes, (PROBE, KNN), strict=True):
        for method in methods:
            places = {arm(method, each): each for each in imbalances}
            rows = accuracies(results, places, yardstick)
            place = list(METHODS).index(method)
            plot_spread(panel, rows, "x", "percent", place=place, label=TITLES[method])
        counts_on(panel, imbalances)
        panel.set(title=yardstick.title, xlabel="imbalance factor", ylabel=_PERCENT)
    axes[0].legend(fontsize=7.5)
    return figure


def by_alpha(results: pd.DataFrame, alphas: Mapping[str, float], limit: str) -> Figure:
    """PaCo against α, and the arm of balanced softmax as a line across.

    Args:
        results: Raw results.
        alphas: Of PaCo's arms.
        limit: The arm of balanced softmax.
    """
    yardsticks = (PROBE, KNN, OWN)
    figure, axes = panels(len(yardsticks))
    place = list(METHODS).index("paco")
    for panel, yardstick in zip(axes, yardsticks, strict=True):
        rows = accuracies(results, alphas, yardstick)
        plot_spread(panel, rows, "x", "percent", place=place, label=TITLES["paco"])
        mean = float(values(accuracies(results, {limit: 0}, yardstick), "percent").mean())
        panel.axhline(mean, color="0.35", ls="--", lw=1.2, label=TITLES["balanced-softmax"])
        panel.set_xscale("log")
        panel.set(title=yardstick.title, xlabel="α", ylabel=_PERCENT)
    axes[0].legend(fontsize=7.5)
    return figure
