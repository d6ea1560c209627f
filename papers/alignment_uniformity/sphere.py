"""Random points of the unit sphere, and the expectation of an exponential over it."""

import math

import torch
from jaxtyping import Float
from scipy.special import hyp0f1
from torch import Tensor


def uniform_rows(
    *shape: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "..."]:
    """Rows spread evenly over the unit sphere; the last number is the dimension d."""
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=generator, dtype=dtype), dim=-1
    )


def rows_at_cosine(
    rows: Float[Tensor, "n dim"], cosine: float, generator: torch.Generator
) -> Float[Tensor, "n dim"]:
    """For each unit row another one, at this cosine and in a random direction."""
    drawn = torch.randn(rows.shape, generator=generator, dtype=rows.dtype)
    across = drawn - (drawn * rows).sum(dim=1, keepdim=True) * rows
    across = torch.nn.functional.normalize(across, dim=1)
    return cosine * rows + math.sqrt(1 - cosine**2) * across


def log_mean_exp(scale: float, dim: int) -> float:
    """`log E e^{scale · x·y}` for y spread evenly over the sphere: `log ₀F₁(; d/2; scale²/4)`.

    Args:
        scale: Any; 2t gives what uniformity asks for, 1/T what the contrastive loss does.
        dim: d, 2 or above.
    """
    return float(math.log(hyp0f1(dim / 2, scale**2 / 4)))
