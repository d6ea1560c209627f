"""Correlated Gaussians, plain and with a cubed y (Belghazi et al. 2018; Poole et al. 2019)."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.estimators.gaussian import correlation_for
from papers.mutual_information.gaussians import DIM, correlated_pairs


def correlated(
    information: float, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count dim"], Float[Tensor, "count dim"]]:
    """Standard normal x and y in 20 dimensions, with `I = −(d/2) log(1 − ρ²)`.

    Args:
        information: I in nats.
        count: Pairs.
        generator: Draws them.
    """
    return correlated_pairs(count, correlation_for(information, DIM), generator)


def cubed(
    information: float, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count dim"], Float[Tensor, "count dim"]]:
    """The same with y³ in place of y: one to one, so that nothing is lost.

    Args:
        information: I in nats.
        count: Pairs.
        generator: Draws them.
    """
    x, y = correlated(information, count, generator)
    return x, y**3
