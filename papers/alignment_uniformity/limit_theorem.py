"""The contrastive loss with M negatives, less log M, and how it nears its limit."""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table

from nearfar.objectives import contrastive
from papers.alignment_uniformity.sphere import log_mean_exp, rows_at_cosine, uniform_rows
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
from papers.rates import slope_with_error

NEGATIVES = (16, 64, 256, 1024, 4096, 16384)
TEMPERATURES = (0.2, 0.5, 1.0)
DIM = 8
COSINE = 0.8
"""Of the two rows of a positive pair."""
ELEMENTS = 2**22
MOST_ANCHORS = 2**15
AT_ONCE = 2**20
FITTED_FROM = 256
"""Negatives from which on the rates are fitted: before, terms of higher order show."""


def measure(
    seed: int,
    *,
    negatives: Sequence[int] = NEGATIVES,
    temperatures: Sequence[float] = TEMPERATURES,
    elements: int = ELEMENTS,
) -> pd.DataFrame:
    """Gap of the expected loss and mean deviation of a single draw, for each M and T.

    Args:
        seed: Of the draws.
        negatives: Numbers M.
        temperatures: Numbers T.
        elements: Negatives of all anchors of a value together, about.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for number in negatives:
        left = min(MOST_ANCHORS, max(32, elements // number))
        sums = {temperature: torch.zeros(3, dtype=torch.float64) for temperature in temperatures}
        anchors = 0
        while anchors < left:
            batch = min(left - anchors, max(1, AT_ONCE // number))
            for temperature, found in _sums_of_batch(
                batch, number, temperatures, generator
            ).items():
                sums[temperature] += found
            anchors += batch
        for temperature, (losses, excesses, deviations) in sums.items():
            rows.append(
                {
                    "negatives": number,
                    "temperature": temperature,
                    # The excess has expectation 0 and moves with the loss: it takes noise away.
                    "gap": float(losses - excesses) / anchors,
                    "deviation": float(deviations) / anchors,
                    "expected_gap": first_order(temperature) / number,
                    "expected_deviation": math.sqrt(
                        2 / math.pi * relative_variance(temperature) / number
                    ),
                }
            )
    return pd.DataFrame(rows)


def limit(temperature: float, cosine: float = COSINE, dim: int = DIM) -> float:
    """`−(1/T) E f(x)·f(y) + E log E e^{f(x⁻)·f(x)/T}` for evenly spread embeddings."""
    return -cosine / temperature + log_mean_exp(1 / temperature, dim)


def relative_variance(temperature: float, dim: int = DIM) -> float:
    """Variance of `e^{f(x⁻)·f(x)/T}` over its squared mean."""
    log_second = log_mean_exp(2 / temperature, dim)
    return math.expm1(log_second - 2 * log_mean_exp(1 / temperature, dim))


def first_order(temperature: float, cosine: float = COSINE, dim: int = DIM) -> float:
    """M times the gap as M grows: what the positive adds less half the relative variance.

    From `log(e^{s⁺}/M + m)` with m the mean of M negatives, expanded about E m.
    """
    positive = math.exp(cosine / temperature - log_mean_exp(1 / temperature, dim))
    return positive - relative_variance(temperature, dim) / 2


def _sums_of_batch(
    batch: int, number: int, temperatures: Sequence[float], generator: torch.Generator
) -> dict[float, torch.Tensor]:
    """Sums over anchors: of loss − log M − limit, of the negatives' excess, of |loss − …|."""
    anchors = uniform_rows(batch, DIM, generator=generator)
    positives = rows_at_cosine(anchors, COSINE, generator)
    others = uniform_rows(batch, number, DIM, generator=generator)
    cosines = (others @ anchors.unsqueeze(2)).squeeze(2)
    found = {}
    for temperature in temperatures:
        loss = contrastive(anchors, positives, others, temperature=temperature)
        log_expected = math.log(number) + log_mean_exp(1 / temperature, DIM)
        # Of each anchor's negatives: the logarithm of their sum over its expectation.
        log_ratios = (cosines / temperature).logsumexp(dim=1) - log_expected
        positive = torch.tensor(COSINE / temperature - log_expected, dtype=torch.float64)
        found[temperature] = torch.stack(
            [
                batch * (loss - math.log(number) - limit(temperature)),
                log_ratios.expm1().sum(),
                torch.logaddexp(log_ratios, positive).abs().sum(),
            ]
        )
    return found


def draw(data: pd.DataFrame) -> Figure:
    """Left the gap of the expected loss, right the deviation of a single draw, against M."""
    figure, axes = panels()
    shown = {
        "gap": "E L(M) − log M − limit, nats",
        "deviation": "E |L(M) − log M − limit| of one draw, nats",
    }
    for panel, (column, words) in zip(axes, shown.items(), strict=True):
        for place, (temperature, rows) in enumerate(groups(data, "temperature")):
            name = f"T = {temperature:g}, slope {_late_slope(rows, column)}"
            plot_spread(panel, rows, "negatives", column, place=place, label=name)
            plot_expected(panel, rows, "negatives", f"expected_{column}", place=place)
        counts_on(panel, distinct(data, "negatives"))
        powers_on(panel)
        panel.set(xlabel="negatives, M", ylabel=words)
        explain_expected(panel, "first order, closed form")
        panel.legend(fontsize=7.5, loc="lower left")
    return figure


def findings(data: pd.DataFrame) -> str:
    """Fitted slopes, and the ratio to the first order at the largest M."""
    lines = []
    for temperature, rows in groups(data, "temperature"):
        last = where(rows, negatives=max(distinct(rows, "negatives")))
        both = ("gap", "deviation")
        ratios = [values(last, each) / values(last, f"expected_{each}") for each in both]
        lines.append(
            [
                f"{temperature:g}",
                *(_late_slope(rows, each) for each in both),
                *(mean_and_sd(each, ".2f") for each in ratios),
            ]
        )
    return (
        "Both rates are true, of two things. A single draw of M negatives misses the limit by "
        "about 1/√M, the rate that the theorem gives. The expected loss, of which the theorem "
        "speaks, comes nearer than it promises: the deviations cancel, and what is left falls as "
        "1/M, namely the positive's own term in the denominator less half the relative variance "
        f"of a negative's. Slopes are fitted from M = {FITTED_FROM} on.\n\n"
        + table(
            [
                "T",
                "slope, expected loss",
                "slope, one draw",
                "expected loss / first order",
                "one draw / first order",
            ],
            lines,
        )
    )


def _late_slope(rows: pd.DataFrame, column: str) -> str:
    """Fitted where terms of higher order have gone."""
    late = rows.loc[values(rows, "negatives") >= FITTED_FROM]
    return slope_with_error(late, "negatives", column)


EXPERIMENT = Experiment(
    name="limit_theorem",
    title="With many negatives the contrastive loss becomes alignment and uniformity",
    source="Wang & Isola 2020, theorem 1",
    claim=(
        "`L(M) − log M → −(1/T) E f(x)·f(y) + E log E e^{f(x⁻)·f(x)/T}`, with a gap of O(M^−1/2). "
        "Measured with `nearfar.objectives.contrastive` on rows spread evenly over the sphere in "
        f"{DIM} dimensions, where the limit is known: `−c/T + log ₀F₁(; d/2; 1/(4T²))` with "
        f"positives at cosine c = {COSINE}."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=1,
)
