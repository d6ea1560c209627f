"""An unnormalised mixture of two Gaussians by noise-contrastive estimation."""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from papers.experiment import Experiment
from papers.noise_contrastive.errors import draw, findings, measured_errors
from papers.noise_contrastive.fitting import Problem

SHARES = (0.6, 0.4)
CENTRES = (-1.5, 2.0)
WIDTHS = (0.8, 0.6)
NOISE_WIDTH = 2.5
SAMPLES = (500, 2000, 8000, 32000)
RATIOS = (1, 10)
REPEATS = 10
GRID = (-15.0, 15.0, 20001)


def problem() -> Problem:
    """A mixture on the line; noise is a wide Gaussian.

    `log p_m(u) = log( e^{−(u − μ₁)²/(2σ₁²)} + e^{a − (u − μ₂)²/(2σ₂²)} ) + c` with the parameters
    μ₁, μ₂, log σ₁, log σ₂, a, and c, which is last. Fitting begins away from the truth, with the
    components told apart: exchanged, they are the same density.
    """
    truth = torch.tensor(
        [
            *CENTRES,
            *map(math.log, WIDTHS),
            math.log(SHARES[1] * WIDTHS[0] / (SHARES[0] * WIDTHS[1])),
            math.log(SHARES[0] / (WIDTHS[0] * math.sqrt(2 * math.pi))),
        ],
        dtype=torch.float64,
    )

    def log_model(samples: Tensor, parameters: Tensor) -> Tensor:
        first, second, log_width_1, log_width_2, weight, constant = parameters.unbind()
        u = samples[:, 0]
        one = -(((u - first) / log_width_1.exp()) ** 2) / 2
        two = weight - ((u - second) / log_width_2.exp()) ** 2 / 2
        return torch.logaddexp(one, two) + constant

    def draw_data(count: int, draws: torch.Generator) -> Tensor:
        second = torch.rand(count, generator=draws, dtype=torch.float64) < SHARES[1]
        normal = torch.randn(count, generator=draws, dtype=torch.float64)
        centres, widths = (torch.tensor(each, dtype=torch.float64) for each in (CENTRES, WIDTHS))
        return (centres[second.long()] + widths[second.long()] * normal)[:, None]

    def draw_noise(count: int, draws: torch.Generator) -> Tensor:
        return NOISE_WIDTH * torch.randn(count, 1, generator=draws, dtype=torch.float64)

    def log_noise(samples: Tensor) -> Tensor:
        log_width = math.log(NOISE_WIDTH * math.sqrt(2 * math.pi))
        return -((samples[:, 0] / NOISE_WIDTH) ** 2) / 2 - log_width

    return Problem(
        log_model=log_model,
        truth=truth,
        start=torch.tensor([-1.0, 1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64),
        draw_data=draw_data,
        draw_noise=draw_noise,
        log_noise=log_noise,
    )


def measure(
    seed: int,
    *,
    samples: Sequence[int] = SAMPLES,
    ratios: Sequence[int] = RATIOS,
    repeats: int = REPEATS,
) -> pd.DataFrame:
    """Errors of the mixture's parameters and of c for each T_d and ν, beside those of the theory.

    Args:
        seed: Of the draws.
        samples: Numbers T_d of data.
        ratios: Numbers ν.
        repeats: Fits for each value.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = problem()
    points = torch.linspace(*GRID, dtype=torch.float64)[:, None]
    spacing = (GRID[1] - GRID[0]) / (GRID[2] - 1)
    weights = spacing * wanted.log_model(points, wanted.truth).exp()
    return measured_errors(wanted, points, weights, generator, samples, ratios, repeats)


EXPERIMENT = Experiment(
    name="nce_mixture",
    title="Noise-contrastive estimation finds a mixture and its normaliser",
    source="Gutmann & Hyvärinen 2010, 2012",
    claim=(
        "The same of a model that is not linear in its parameters: two centres, two widths and a "
        "weight, with the log-constant learned beside them, against Gaussian noise of standard "
        f"deviation {NOISE_WIDTH}."
    ),
    measure=measure,
    draw=draw,
    findings=findings,
    minutes=0.7,
)
