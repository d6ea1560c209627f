"""An unnormalised Gaussian by noise-contrastive estimation: its precision and its log-constant."""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from papers.experiment import Experiment
from papers.noise_contrastive.errors import draw, findings, measured_errors
from papers.noise_contrastive.fitting import Problem

DIM = 5
SAMPLES = (500, 1000, 2000, 4000, 8000)
RATIOS = (1, 10)
REPEATS = 10
QUADRATURE = 2**18
"""Draws for the asymptotic covariance: in five dimensions there is no better rule at hand."""


def problem(generator: torch.Generator) -> Problem:
    """A Gaussian with a random precision matrix; noise is a standard normal.

    `log p_m(u) = −½ uᵀ Λ u + c`: Λ has 15 entries of its own, and c is the last parameter.

    Args:
        generator: Draws the precision matrix.
    """
    mixing = torch.randn(DIM, DIM, generator=generator, dtype=torch.float64) / math.sqrt(2 * DIM)
    precision = mixing @ mixing.T + 0.5 * torch.eye(DIM, dtype=torch.float64)
    row, column = torch.triu_indices(DIM, DIM)
    constant = (torch.logdet(precision) - DIM * math.log(2 * math.pi)) / 2
    truth = torch.cat([precision[row, column], constant[None]])
    root = torch.linalg.inv(torch.linalg.cholesky(precision))
    multiplicity = torch.where(row == column, 0.5, 1.0).to(torch.float64)

    def log_model(samples: Tensor, parameters: Tensor) -> Tensor:
        products = samples[:, row] * samples[:, column] * multiplicity
        return parameters[-1] - products @ parameters[:-1]

    def standard(count: int, draws: torch.Generator) -> Tensor:
        return torch.randn(count, DIM, generator=draws, dtype=torch.float64)

    start = torch.cat([torch.eye(DIM, dtype=torch.float64)[row, column], torch.zeros(1)])
    return Problem(
        log_model=log_model,
        truth=truth,
        start=start.to(torch.float64),
        draw_data=lambda count, draws: standard(count, draws) @ root,
        draw_noise=standard,
        log_noise=lambda u: -u.square().sum(dim=1) / 2 - DIM / 2 * math.log(2 * math.pi),
    )


def measure(
    seed: int,
    *,
    samples: Sequence[int] = SAMPLES,
    ratios: Sequence[int] = RATIOS,
    repeats: int = REPEATS,
) -> pd.DataFrame:
    """Errors of Λ and of c for each T_d and ν, beside those of the theory.

    Args:
        seed: Of the precision matrix and of the draws.
        samples: Numbers T_d of data.
        ratios: Numbers ν.
        repeats: Fits for each value.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = problem(generator)
    points = wanted.draw_data(QUADRATURE, generator)
    weights = torch.full((QUADRATURE,), 1 / QUADRATURE, dtype=torch.float64)
    return measured_errors(wanted, points, weights, generator, samples, ratios, repeats)


EXPERIMENT = Experiment(
    name="nce_gaussian",
    title="Noise-contrastive estimation finds a Gaussian and its normaliser",
    source="Gutmann & Hyvärinen 2010, section 3; 2012, theorem 3",
    claim=(
        "An unnormalised model, its log-constant one more parameter, is recovered as the sample "
        "grows: the error falls as T_d^−1/2, with a constant that is known. Measured with "
        f"`nearfar.objectives.nce` on a Gaussian in {DIM} dimensions, {DIM * (DIM + 1) // 2} "
        "entries of its precision matrix and the constant, against standard normal noise."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.7,
)
