"""Errors of estimated parameters against the number of samples, beside the theory's."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from tools.markdown import mean_and_sd, table
from torch import Tensor

from papers.figures import (
    counts_on,
    decimals_on,
    explain_expected,
    panels,
    plot_expected,
    plot_spread,
)
from papers.measurements import distinct, groups, values, where
from papers.noise_contrastive.fitting import Problem, asymptotic_covariance, estimated
from papers.rates import slope_with_error

KINDS = {"parameters": "the model's parameters", "constant": "the log-constant"}


def measured_errors(
    problem: Problem,
    points: Float[Tensor, "n dim"],
    weights: Float[Tensor, " n"],
    generator: torch.Generator,
    samples: Sequence[int],
    ratios: Sequence[int],
    repeats: int,
) -> pd.DataFrame:
    """Root mean squared error of the parameters, as one vector, and of the log-constant.

    Args:
        problem: What is estimated.
        points: For the asymptotic covariance, as are the weights.
        weights: Of the points.
        generator: Of the draws.
        samples: Numbers T_d of data.
        ratios: Numbers ν.
        repeats: Fits for each value.
    """
    rows = []
    for ratio in ratios:
        variances = asymptotic_covariance(problem, ratio, points, weights).diagonal()
        expected = {"parameters": variances[:-1].sum(), "constant": variances[-1]}
        for number in samples:
            fits = [estimated(problem, number, ratio, generator) for _ in range(repeats)]
            squared = (torch.stack(fits) - problem.truth).square().mean(dim=0)
            found = {"parameters": squared[:-1].sum(), "constant": squared[-1]}
            rows += [
                {
                    "ratio": ratio,
                    "samples": number,
                    "of": kind,
                    "error": float(found[kind].sqrt()),
                    "expected": float((expected[kind] / number).sqrt()),
                }
                for kind in KINDS
            ]
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """Errors against T_d, a panel for the parameters and one for the constant, a line a ν."""
    figure, axes = panels()
    for panel, (kind, words) in zip(axes, KINDS.items(), strict=True):
        for place, (ratio, rows) in enumerate(groups(where(data, of=kind), "ratio")):
            name = f"ν = {ratio}, slope {slope_with_error(rows, 'samples', 'error')}"
            plot_spread(panel, rows, "samples", "error", place=place, label=name)
            plot_expected(panel, rows, "samples", "expected", place=place)
        explain_expected(panel, "theory: √(tr Σ / T_d)")
        counts_on(panel, distinct(data, "samples"))
        decimals_on(panel)
        panel.set(xlabel="samples of data, T_d", ylabel=f"rms error of {words}")
        panel.legend(fontsize=7.5, loc="lower left")
    return figure


def findings(data: pd.DataFrame) -> str:
    """Slopes, and errors beside the theory's at the most samples."""
    most = max(distinct(data, "samples"))
    lines = []
    for (kind, ratio), rows in groups(data, "of", "ratio"):
        last = where(rows, samples=most)
        lines.append(
            [
                f"{KINDS[kind]}, ν = {ratio}",
                slope_with_error(rows, "samples", "error"),
                mean_and_sd(values(last, "error"), ".4f"),
                mean_and_sd(np.array([values(last, "expected").mean()]), ".4f"),
            ]
        )
    return (
        "The slope is that of the error against T_d, in logarithms; a bar is the standard "
        "deviation between seeds of the root of a mean over the fits of a seed. More noise makes "
        "for a smaller error, as the theory's constant says.\n\n"
        + table(["error of", "slope", f"error at T_d = {most}", "theory"], lines)
    )
