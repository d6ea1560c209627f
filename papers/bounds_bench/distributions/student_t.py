"""Student's t in many dimensions: heavy tails, and information even without correlation."""

import torch
from jaxtyping import Float
from scipy.special import digamma, gammaln
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.estimators.gaussian import correlated_information, correlation_for
from papers.mutual_information.gaussians import correlated_pairs

DIM = 5
"""Dimensions of x and of y."""
DEGREES = 3
"""Degrees of freedom ν: the fewest at which there is a variance."""


def multivariate_t(
    information: float, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count dim"], Float[Tensor, "count dim"]]:
    """Correlated Gaussians of 5 dimensions each, divided by one √(χ²/ν) for each pair.

    Args:
        information: In nats, at least what the common divisor alone makes.
        count: Pairs.
        generator: Draws them.

    Raises:
        SettingError: Less information than that is asked for.
    """
    of_divisor = divisor_information(DEGREES, DIM)
    if information < of_divisor:
        raise SettingError(
            f"information is {information}: the common divisor alone makes {of_divisor:.3f} nats"
        )
    correlation = correlation_for(information - of_divisor, DIM)
    x, y = correlated_pairs(count, correlation, generator, dim=DIM)
    normal = torch.randn(count, DEGREES, generator=generator, dtype=torch.float64)
    divisor = normal.square().mean(dim=1, keepdim=True).sqrt()
    return x / divisor, y / divisor


def t_information(correlation: float, degrees: int, dim: int) -> float:
    """Mutual information: the Gaussians' own and what the common divisor adds, in nats.

    `−(d/2) log(1 − ρ²) + c(ν, d)` (Arellano-Valle, Contreras-Reyes and Genton 2013).

    Args:
        correlation: ρ of each dimension of x with the same of y.
        degrees: ν.
        dim: d.
    """
    return correlated_information(correlation, dim) + divisor_information(degrees, dim)


def divisor_information(degrees: int, dim: int) -> float:
    """The term that does not depend on the correlation, in nats.

    `c(ν, d) = g(ν) + g(ν + 2d) − 2 g(ν + d)` with `g(a) = log Γ(a/2) − (a/2) ψ(a/2)`: entropies of
    Student's t with d, d and 2d dimensions, less the Gaussians'.

    Args:
        degrees: ν.
        dim: d.
    """

    def term(twice: int) -> float:
        return float(gammaln(twice / 2) - twice / 2 * digamma(twice / 2))

    return term(degrees) + term(degrees + 2 * dim) - 2 * term(degrees + dim)
