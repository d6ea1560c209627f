"""Accuracy against epoch, for the arms of a study, with their spread over seeds."""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from papers.figures import panels, plot_spread
from papers.measurements import where


def accuracy_by_epoch(
    results: pd.DataFrame, arms: Sequence[Mapping[str, str]], titles: Sequence[str]
) -> Figure:
    """The check on held-out training images after every epoch, a panel a setting.

    Args:
        results: Raw results.
        arms: For each panel, its arms and their names in the legend.
        titles: Of the panels.
    """
    figure, axes = panels(len(arms))
    checks = where(results, measured_on="held out", metric="top1")
    checks = checks.assign(percent=100 * checks["value"])
    for panel, of_panel, title in zip(axes, arms, titles, strict=True):
        for place, (arm, name) in enumerate(of_panel.items()):
            rows = where(checks, arm=arm)
            plot_spread(panel, rows, "epoch", "percent", place=place, label=name)
        panel.set(title=title, xlabel="epoch", ylabel="kNN of held-out training images, top-1 in %")
        panel.legend()
    return figure


def drawing(arms: Mapping[str, str], title: str):
    """What draws a study of one panel."""
    return partial(accuracy_by_epoch, arms=[arms], titles=[title])
