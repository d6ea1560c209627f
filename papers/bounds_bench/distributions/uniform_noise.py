"""A uniform variable with uniform noise added, whose mutual information has a closed form."""

import math

import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

DIM = 5
"""Independent coordinates of x and of y."""


def additive_noise(
    information: float, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count dim"], Float[Tensor, "count dim"]]:
    """X uniform between 0 and 1 and `y = x + n`, n uniform between −ε and ε, in 5 coordinates.

    Args:
        information: Of all coordinates together, in nats, above 0.
        count: Pairs.
        generator: Draws them.
    """
    half_width = half_width_for(information / DIM)
    x, noise = torch.rand(2, count, DIM, generator=generator, dtype=torch.float64)
    return x, x + half_width * (2 * noise - 1)


def coordinate_information(half_width: float) -> float:
    """Mutual information of one coordinate, in nats.

    `h(y) − log 2ε`, which is `ε − log 2ε` for ε ≤ ½, where y has a trapezoid's density, and
    `1 / 4ε` above (Czyż et al. 2023, Beyond Normal, arXiv:2306.11078).

    Args:
        half_width: ε, above 0.
    """
    if half_width <= 0.5:
        return half_width - math.log(2 * half_width)
    return 1 / (4 * half_width)


def half_width_for(information: float) -> float:
    """The ε at which `coordinate_information` is `information`.

    Args:
        information: In nats, above 0.
    """
    if information <= 0.5:
        return 1 / (4 * information)

    def excess(half_width: float) -> float:
        return coordinate_information(half_width) - information

    return float(brentq(excess, 1e-12, 0.5))  # pyright: ignore[reportArgumentType]
