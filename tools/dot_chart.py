"""A chart of rows with points: means of several kinds of figures, with their spread over runs."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.figure_file import STYLE, save

COLOURS, MARKERS = ("#1f6fb4", "#c4571b", "#2c8a4b"), ("o", "s", "^")
INCHES_A_ROW = 0.28

Panel = Mapping[str, Mapping[str, Sequence[float]]]
"""By row, from the top, and by kind: a figure in per cent of each run."""


def draw_dots(panels: Mapping[str, Panel], path: Path, *, axis: str = "top-1, %") -> None:
    """Write the chart, the same bytes for the same figures.

    Args:
        panels: By title, at most three kinds in all of them; those of one set of rows stand side by
            side, and a row that a panel lacks is empty there.
        path: Its ending says the format.
        axis: What is drawn.
    """
    rows = _distinct(row for panel in panels.values() for row in panel)
    kinds = _distinct(kind for panel in panels.values() for row in panel.values() for kind in row)
    with mpl.rc_context(STYLE):
        figure = Figure(
            (2.2 + 2.1 * len(panels), 1.1 + INCHES_A_ROW * len(rows)), layout="constrained"
        )
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for each, (title, panel) in zip(axes, panels.items(), strict=True):
            _draw(each, panel, rows, kinds)
            each.set_title(title, fontsize=9.5)
            each.set_xlabel(axis)
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].set_ylim(len(rows) - 0.5, -0.5)
        if len(kinds) > 1:
            handles, labels = axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        save(figure, path)


def _draw(axes: Axes, panel: Panel, rows: Sequence[str], kinds: Sequence[str]) -> None:
    for number, kind in enumerate(kinds):
        found = {row: values for row, by_kind in panel.items() if (values := by_kind.get(kind))}
        # Kinds beside each other, so that none hides another's bar.
        shift = 0.2 * (number - (len(kinds) - 1) / 2)
        axes.errorbar(
            [statistics.fmean(values) for values in found.values()],
            [rows.index(row) + shift for row in found],
            xerr=[statistics.stdev(each) if len(each) > 1 else 0.0 for each in found.values()],
            color=COLOURS[number],
            marker=MARKERS[number],
            ls="none",
            ms=5,
            elinewidth=1,
            label=kind,
        )
    axes.grid(axis="x", color="0.9", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
