"""Accuracy of the arms of a study against epochs and settings, with its spread over seeds."""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from papers.figures import COLOURS, MARKERS, panels, plot_spread
from papers.measurements import where
from papers.reproductions.yardstick import Yardstick


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
    for panel, of_panel, title in zip(axes, arms, titles, strict=True):
        by_epoch(panel, results, of_panel)
        panel.set(title=title)
    return figure


def by_epoch(panel: Axes, results: pd.DataFrame, arms: Mapping[str, str]) -> None:
    """The check on held-out training images after every epoch, a line an arm.

    Args:
        panel: Where.
        results: Raw results.
        arms: With their names in the legend.
    """
    checks = where(results, measured_on="held out", metric="top1")
    checks = checks.assign(percent=100 * checks["value"])
    for place, (arm, name) in enumerate(arms.items()):
        plot_spread(panel, where(checks, arm=arm), "epoch", "percent", place=place, label=name)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set(xlabel="epoch", ylabel="kNN of held-out training images, top-1 in %")
    panel.legend()


def drawing(arms: Mapping[str, str], title: str):
    """What draws a study of one panel."""
    return partial(accuracy_by_epoch, arms=[arms], titles=[title])


def by_setting(
    panel: Axes,
    results: pd.DataFrame,
    yardstick: Yardstick,
    arms: Mapping[str, tuple[float, str]],
    xlabel: str,
) -> None:
    """Accuracy against a setting, a line for each of the other settings.

    Args:
        panel: Where.
        results: Raw results.
        yardstick: Whose figures.
        arms: Of each arm, the setting and the name of its line.
        xlabel: What the setting is.
    """
    settings = sorted({setting for setting, _ in arms.values()})
    lines = list(dict.fromkeys(line for _, line in arms.values()))
    for place, line in enumerate(lines):
        rows = pd.concat(
            [
                figures_of(results, yardstick, arm).assign(setting=setting)
                for arm, (setting, of) in arms.items()
                if of == line
            ]
        )
        plot_spread(panel, rows, "setting", "figure", place=place, label=line)
    panel.set_xscale("log")
    panel.set_xticks(settings, [f"{each:g}" for each in settings])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set(xlabel=xlabel, ylabel=f"{yardstick.title}, top-1 in %")
    if len(lines) > 1 or lines[0]:
        # Room of its own above the lines.
        low, high = panel.get_ylim()
        panel.set_ylim(low, high + 0.07 * (high - low) * (len(lines) // 2 + 1))
        panel.legend(fontsize=7.5, ncols=2 if len(lines) > 1 else 1, loc="upper right")


def side_by_side(
    panel: Axes, results: pd.DataFrame, yardsticks: Sequence[Yardstick], arms: Mapping[str, str]
) -> None:
    """A line for each arm, with a point for each yardstick and its spread over seeds.

    Args:
        panel: Where.
        results: Raw results.
        yardsticks: Whose figures.
        arms: From top to bottom, with their names.
    """
    heights = {arm: len(arms) - 1 - place for place, arm in enumerate(arms)}
    for place, yardstick in enumerate(yardsticks):
        for arm, height in heights.items():
            found = figures_of(results, yardstick, arm)["figure"]
            panel.errorbar(
                found.mean(),
                height + 0.12 * place,
                xerr=found.std(ddof=1),
                color=COLOURS[place],
                marker=MARKERS[place],
                capsize=2.5,
                label=yardstick.title if height == 0 else None,
            )
    panel.set_yticks(list(heights.values()), list(arms.values()))
    panel.set(xlabel="top-1 in %", ylim=(-0.5, len(arms) - 0.4))
    if len(yardsticks) > 1:
        panel.legend(fontsize=7.5)


def epochs_and_last(arms: Mapping[str, str], yardsticks: Sequence[Yardstick]):
    """What draws a study of arms side by side: against epochs, and after the last.

    Args:
        arms: With their names.
        yardsticks: Whose figures stand after the last epoch.
    """

    def draw(results: pd.DataFrame) -> Figure:
        figure, (left, right) = panels(2)
        by_epoch(left, results, arms)
        side_by_side(right, results, yardsticks, arms)
        return figure

    return draw


def figures_of(results: pd.DataFrame, yardstick: Yardstick, arm: str) -> pd.DataFrame:
    """An arm's figures, `figure` in points or nats, a row a seed."""
    found = yardstick.scale * yardstick.of(results, arm)
    return pd.DataFrame({"seed": found.index, "figure": found.to_numpy(), "arm": arm})
