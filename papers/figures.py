"""How the figures look, and what they share: axes, ticks, points with their spread over seeds."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from tools import figure_file

from papers.measurements import curve

COLOURS = ("#1f6fb4", "#c4571b", "#2c8a4b", "#7b4fa3", "#8a6d1d", "#b03a6b")
"""Told apart without seeing red or green, too, because every one has a marker of its own."""
MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE: dict[Any, Any] = {
    **figure_file.STYLE,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "lines.markersize": 4.5,
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def panels(count: int = 2, height: float = 3.6) -> tuple[Figure, Sequence[Axes]]:
    """A figure of one row of panels.

    Args:
        count: Panels.
        height: Of the figure, in inches.
    """
    figure = Figure((4.6 * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def plot_spread(
    axes: Axes, data: pd.DataFrame, x: str, y: str, *, place: int, label: str, line: str = "-"
) -> None:
    """Means over the seeds, each with a bar of one standard deviation up and down.

    Args:
        axes: Where.
        data: Rows of all seeds.
        x: Its column.
        y: Its column.
        place: Of the series among those of the panel: its colour and marker.
        label: In the legend.
        line: Between the points; "" for none.
    """
    places, means, deviations = curve(data, x, y)
    axes.errorbar(
        places,
        means,
        yerr=deviations,
        color=COLOURS[place % len(COLOURS)],
        marker=MARKERS[place % len(MARKERS)],
        ls=line or "none",
        lw=1.2,
        elinewidth=1,
        capsize=2.5,
        label=label,
    )


def plot_expected(axes: Axes, data: pd.DataFrame, x: str, y: str, *, place: int) -> None:
    """A dotted line of what theory gives, in the colour of the series that it belongs to.

    Args:
        axes: Where.
        data: Rows of all seeds.
        x: Its column.
        y: Its column; the mean over the seeds is drawn.
        place: As for `plot_spread`.
    """
    places, means, _ = curve(data, x, y)
    axes.plot(places, means, color=COLOURS[place % len(COLOURS)], ls=":", lw=1.2)


def explain_expected(axes: Axes, words: str) -> None:
    """What the legend says of the dotted lines."""
    axes.plot([], [], color="0.35", ls=":", lw=1.2, label=words)


def counts_on(axes: Axes, counts: Sequence[int]) -> None:
    """A logarithmic x-axis of numbers of things, each of which is named."""
    axes.set_xscale("log")
    axes.set_xticks(list(counts), [f"{count:,}".replace(",", " ") for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())


def powers_on(axes: Axes) -> None:
    """A logarithmic y-axis with ticks at powers of ten, without markup."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(_power))
    axes.yaxis.set_minor_formatter(NullFormatter())


def decimals_on(axes: Axes) -> None:
    """A logarithmic y-axis of less than two powers of ten: ticks at 1, 2 and 5 of each."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def style() -> Any:
    """The context in which figures are drawn and saved."""
    return mpl.rc_context(STYLE)


def _power(value: float, _: int) -> str:
    """10⁻³ for 0.001."""
    exponent = f"{value:.0e}".split("e")[1]
    return "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
