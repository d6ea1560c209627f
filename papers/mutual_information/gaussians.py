"""Correlated Gaussians, whose mutual information is known."""

import torch
from jaxtyping import Float
from torch import Tensor

DIM = 20
"""Dimensions of x and of y."""


def correlated_pairs(
    count: int, correlation: float, generator: torch.Generator, dim: int = DIM
) -> tuple[Float[Tensor, "count dim"], Float[Tensor, "count dim"]]:
    """Pairs of standard normal vectors, each coordinate of x correlated with the same one of y.

    Args:
        count: Pairs.
        correlation: ρ, above −1 and below 1.
        generator: Draws them.
        dim: Coordinates of each.

    Returns:
        x and y in float64.
    """
    x, noise = torch.randn(2, count, dim, generator=generator, dtype=torch.float64)
    return x, correlation * x + (1 - correlation**2) ** 0.5 * noise
