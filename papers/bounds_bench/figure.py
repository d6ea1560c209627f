"""The figure: every bound on the staircase, a panel each."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.bounds_bench.tasks import STAIRCASE, TASKS
from papers.bounds_bench.training import BOUNDS, Run
from papers.figures import COLOURS
from papers.measurements import curve, distinct, values, where

DRAWN = ("gaussian", "cubed")
_COLUMNS = 4
_TOP = 13.0
"""How far up the panels reach, in nats."""


def draw(data: pd.DataFrame) -> Figure:
    """Estimates over the steps, against the truth.

    Args:
        data: Rows of `curve_rows` of the tasks to draw, of all seeds.
    """
    rows = math.ceil(len(BOUNDS) / _COLUMNS)
    figure = Figure((3.1 * _COLUMNS, 2.6 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for panel, (name, facts) in zip(panels.flat, BOUNDS.items(), strict=True):
        _truth(panel)
        for place, task in enumerate(DRAWN):
            _estimates(panel, where(data, task=task, bound=name), TASKS[task].title, place)
        panel.set(title=facts.title, ylim=(-0.5, _TOP), xlim=(0, _thousands(Run.steps * 5)))
    for panel in panels[-1]:
        panel.set_xlabel("thousands of steps")
    for panel in panels[:, 0]:
        panel.set_ylabel("nats")
    handles = {str(each.get_label()): each for each in panels[0, 0].get_lines()}
    shown = {label: each for label, each in handles.items() if not label.startswith("_")}
    figure.legend(
        list(shown.values()), list(shown), loc="outside lower center", ncols=4, fontsize=9
    )
    return figure


def _truth(panel: Axes) -> None:
    """The staircase, and what InfoNCE cannot exceed."""
    ends = _thousands(Run.steps) * np.arange(len(STAIRCASE) + 1)
    panel.step(ends, [*STAIRCASE, STAIRCASE[-1]], where="post", color="0.15", lw=1.1, label="truth")
    ceiling = f"log N, N = {Run.batch_size}"
    panel.axhline(math.log(Run.batch_size), color="0.35", ls=":", lw=1, label=ceiling)


def _estimates(panel: Axes, data: pd.DataFrame, title: str, place: int) -> None:
    """A band of single batches, a thin line for each seed, and a bold one for their mean."""
    if not len(data):
        return
    colour = COLOURS[place]
    steps, lows, _ = curve(data, "step", "low")
    highs = curve(data, "step", "high")[1]
    panel.fill_between(_thousands(steps), lows, highs, color=colour, alpha=0.16, lw=0)
    for seed in distinct(data, "seed"):
        own = where(data, seed=seed)
        panel.plot(
            _thousands(values(own, "step")), values(own, "mean"), color=colour, lw=0.5, alpha=0.5
        )
    means = curve(data, "step", "mean")[1]
    panel.plot(_thousands(steps), means, color=colour, lw=1.8, label=title)


def _thousands(steps):
    """Steps in thousands."""
    return steps / 1000
