"""Donsker-Varadhan's value of a batch is too large on average, the more the smaller the batch."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table

from nearfar.estimators.donsker_varadhan import donsker_varadhan
from nearfar.estimators.gaussian import correlated_log_ratio, correlation_for
from papers.experiment import Experiment
from papers.figures import (
    counts_on,
    explain_expected,
    panels,
    plot_expected,
    plot_spread,
    powers_on,
)
from papers.measurements import distinct, groups, values, where
from papers.mutual_information.gaussians import DIM, correlated_pairs

INFORMATIONS = (1, 2, 4)
BATCHES = (16, 32, 64, 128, 256, 512, 1024)
DRAWN = {"all others": 2**25, "one other": 2**19}
"""Scores that a value is measured from, by what every x is compared with."""
FEWEST, MOST = 16, 1024
"""Batches of a value, whatever the scores."""


def measure(
    seed: int,
    *,
    informations: Sequence[float] = INFORMATIONS,
    batches: Sequence[int] = BATCHES,
    drawn: Mapping[str, int] = DRAWN,
) -> pd.DataFrame:
    """The bias for each I, N and pairing, beside what it tends to.

    Args:
        seed: Of the draws.
        informations: True mutual informations, in nats.
        batches: Numbers N of pairs in a batch.
        drawn: Scores of all batches of a value together, about, by pairing.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for information in informations:
        correlation = correlation_for(float(information), DIM)
        for size in batches:
            for pairing, elements in drawn.items():
                in_batch = size * (size - 1) if pairing == "all others" else size
                count = min(MOST, max(FEWEST, elements // in_batch))
                log_means = [LOG_MEANS[pairing](size, correlation, generator) for _ in range(count)]
                rows.append(
                    {
                        "information": information,
                        "batch": size,
                        "pairing": pairing,
                        "bias": mean_of_minus_log(np.array(log_means)),
                        "expected": expected_bias(information, size, pairing),
                    }
                )
    return pd.DataFrame(rows)


def log_mean_of_all(size: int, correlation: float, generator: torch.Generator) -> float:
    """`log mean_{i≠j} r(x_i, y_j)` of a batch, as Donsker-Varadhan's bound has it."""
    scores = correlated_log_ratio(*correlated_pairs(size, correlation, generator), correlation)
    return float(scores.paired.mean() - donsker_varadhan(scores))


def log_mean_of_one(size: int, correlation: float, generator: torch.Generator) -> float:
    """`log mean_i r(x_i, y_{i+1})` of a batch, as MINE's program shuffles the y's."""
    x, y = correlated_pairs(size, correlation, generator)
    shifted = correlated_log_ratio(x, y.roll(1, dims=0), correlation)
    return float(shifted.paired.logsumexp(dim=0)) - math.log(size)


LOG_MEANS = {"all others": log_mean_of_all, "one other": log_mean_of_one}


def mean_of_minus_log(log_means: np.ndarray) -> float:
    """The mean of `−log m` over draws of an m whose expectation is known to be 1.

    The line fitted to `−log m` against `m − 1` is read at 0: the same in expectation as the plain
    mean, with less noise.

    Args:
        log_means: `log m` of each draw.
    """
    return float(np.polyfit(np.expm1(log_means), -log_means, 1)[1])


def expected_bias(information: float, size: int, pairing: str, dim: int = DIM) -> float:
    """The bias for large batches: half the variance of the mean of `r = p(x,y)/(p(x)p(y))`.

    Over independent pairs `E r² = (1 − ρ²)^{−d} = e^{2I}`. The scores of one batch with one other
    partner each are uncorrelated, and so are those with all others but for the pairs (i, j) and
    (j, i), whose product has the expectation `(1 − ρ⁴)^{−d}`.

    Args:
        information: I in nats.
        size: N.
        pairing: One of `LOG_MEANS`.
        dim: d.
    """
    variance = math.expm1(2 * information)
    if pairing == "one other":
        return variance / (2 * size)
    squared = -math.expm1(-2 * information / dim)
    return (variance + (1 - squared**2) ** -dim - 1) / (2 * size * (size - 1))


def draw(data: pd.DataFrame) -> Figure:
    """The bias against N, a panel a pairing, a line an information."""
    figure, axes = panels()
    for panel, pairing in zip(axes, LOG_MEANS, strict=True):
        of_pairing = where(data, pairing=pairing)
        for place, (information, rows) in enumerate(groups(of_pairing, "information")):
            plot_spread(panel, rows, "batch", "bias", place=place, label=f"I = {information} nats")
            plot_expected(panel, rows, "batch", "expected", place=place)
        counts_on(panel, distinct(data, "batch"))
        powers_on(panel)
        panel.set(
            xlabel="pairs in a batch, N",
            ylabel="value − true information, nats",
            title=f"every x with {pairing} of the batch",
            ylim=(1e-6, 200),
        )
    explain_expected(axes[0], "half the variance of the mean")
    axes[0].legend(fontsize=7.5, loc="lower left")
    return figure


def findings(data: pd.DataFrame) -> str:
    """Bias at three sizes, and how it falls."""
    sizes = distinct(data, "batch")
    sizes = [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
    lines = []
    for (information, pairing), rows in groups(data, "information", "pairing"):
        cells = [mean_and_sd(values(where(rows, batch=size), "bias"), ".2g") for size in sizes]
        last = where(rows, batch=sizes[-1])
        ratio = values(last, "bias") / values(last, "expected")
        lines.append([f"{information}, {pairing}", *cells, mean_and_sd(ratio, ".2f")])
    below = int((values(data, "bias") < 0).sum())
    return (
        f"Negative biases: {below} of {len(data)} measured. A batch must be large against "
        "`e^{2I}` (one other partner) or its root (all others) before the bias falls as the "
        "variance says, as 1/N or 1/N²; smaller ones seldom hold the pairs that make up the mean, "
        "and the bias falls more slowly.\n\n"
        + table(
            [
                "I in nats, pairing",
                *(f"bias at N = {size}" for size in sizes),
                "last / half the variance",
            ],
            lines,
        )
    )


EXPERIMENT = Experiment(
    name="donsker_varadhan_bias",
    title="Donsker-Varadhan's value of a batch is biased upward",
    source="Belghazi et al. 2018; McAllester & Stratos 2020",
    claim=(
        "`I ≥ E f − log E e^f` holds for expectations, but the logarithm of a mean over a sample "
        "is too small on average: a batch says more than there is. Measured with the optimal "
        f"critic on Gaussians in {DIM} dimensions, with every x against all other y of the batch "
        "or against one. Dotted: half the variance of the mean of `e^f`, in closed form, to which "
        "the bias tends."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=1,
)
