"""InfoNCE's bound with the best critic there is: it follows the truth up to log N."""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table

from nearfar.estimators.gaussian import correlated_log_ratio, correlation_for
from nearfar.estimators.info_nce import info_nce_bound
from papers.experiment import Experiment
from papers.figures import COLOURS, panels, plot_spread
from papers.measurements import curve, distinct, groups, values, where
from papers.mutual_information.gaussians import DIM, correlated_pairs

INFORMATIONS = tuple(range(2, 21, 2))
BATCHES = (16, 64, 256, 1024, 4096)
PAIRS = 8192
"""Pairs that each value is a mean over, at least two batches of them."""
TOP = 9.5
"""How far up the figure draws the truth, in nats."""
CLOSE = 0.1
"""Nats within which the table calls a bound close."""


def measure(
    seed: int,
    *,
    informations: Sequence[float] = INFORMATIONS,
    batches: Sequence[int] = BATCHES,
    pairs: int = PAIRS,
) -> pd.DataFrame:
    """The bound's mean over batches, and what its largest left to log N, for each I and N.

    Args:
        seed: Of the draws.
        informations: True mutual informations, in nats.
        batches: Numbers N of pairs in a batch.
        pairs: Drawn in all for each value, if that makes two batches.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for information in informations:
        correlation = correlation_for(float(information), DIM)
        for size in batches:
            values = []
            for _ in range(max(2, pairs // size)):
                x, y = correlated_pairs(size, correlation, generator)
                values.append(float(info_nce_bound(correlated_log_ratio(x, y, correlation))))
            rows.append(
                {
                    "information": information,
                    "batch": size,
                    "bound": sum(values) / len(values),
                    "headroom": math.log(size) - max(values),
                }
            )
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """The bound against the truth, and what it misses against their distance from log N."""
    figure, (left, right) = panels()
    left.plot([0, TOP], [0, TOP], color="0.35", ls="--", lw=1, label="truth")
    for place, (size, rows) in enumerate(groups(data, "batch")):
        ceiling = math.log(size)
        left.axhline(ceiling, color=COLOURS[place], ls=":", lw=1)
        name = f"N = {size}, log N = {ceiling:.1f}"
        plot_spread(left, rows, "information", "bound", place=place, label=name)
        truths = values(rows, "information")
        missing = rows.assign(
            beyond=truths - ceiling, missed=truths.clip(max=ceiling) - values(rows, "bound")
        )
        plot_spread(right, missing, "beyond", "missed", place=place, label=f"N = {size}")
    left.set(
        xlabel="true mutual information, nats",
        ylabel="InfoNCE bound, nats",
        xlim=(0, max(distinct(data, "information")) + 0.5),
        ylim=(0, 1.35 * TOP),
    )
    left.legend(fontsize=7.5, loc="upper left", ncols=2)
    right.axvline(0, color="0.35", ls=":", lw=1)
    right.set(
        xlabel="true mutual information − log N, nats", ylabel="min(truth, log N) − bound, nats"
    )
    right.legend(fontsize=7.5)
    return figure


def findings(data: pd.DataFrame) -> str:
    """The ceiling in every batch, and the bound at the ends."""
    above = int((values(data, "headroom") < 0).sum())
    truths = distinct(data, "information")
    lines = []
    for size, rows in groups(data, "batch"):
        ends = [
            mean_and_sd(values(where(rows, information=end), "bound"))
            for end in (truths[0], truths[-1])
        ]
        places, means, _ = curve(rows, "information", "bound")
        close = places[means > places - CLOSE]
        lines.append(
            [str(size), f"{math.log(size):.3f}", *ends, f"{max(close):g}" if len(close) else "none"]
        )
    return (
        f"Of the {len(data)} values, each of the largest of its batches, {above} are above log N. "
        "Where the truth is near log N the bound already misses part of it, and beyond it tells "
        "nothing more.\n\n"
        + table(
            [
                "N",
                "log N",
                f"bound at {truths[0]:g} nats",
                f"bound at {truths[-1]:g} nats",
                f"within {CLOSE} nats up to",
            ],
            lines,
        )
    )


EXPERIMENT = Experiment(
    name="saturation",
    title="InfoNCE cannot say more than log N",
    source="van den Oord et al. 2018; Poole et al. 2019",
    claim=(
        "`I(x; y) ≥ log N − L`, and L ≥ 0: whatever the critic, no batch of N pairs shows more "
        f"than log N nats. Measured on Gaussians in {DIM} dimensions, whose information is "
        "`−(d/2) log(1 − ρ²)`, with the optimal critic `log p(x,y)/(p(x)p(y))`: what is missing "
        "is the bound's doing, and no fault of a critic."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.4,
)
