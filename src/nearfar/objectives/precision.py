"""Objectives compute in full precision, whatever precision the embeddings come in."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def without_autocast(embeddings: Tensor) -> torch.autocast:
    """A context in which matrix products keep the precision of their operands."""
    return torch.autocast(embeddings.device.type, enabled=False)


def unit_rows(embeddings: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """Rows divided by their Euclidean norm, in float32 or, given float64, in float64.

    Rows of any length that the type can hold: they are first brought near length 1 by a power of
    two, which rounds nothing, so that no square overflows or vanishes. A row of zeros stays zero
    and has gradient zero. A row that is not finite has NaN in it.
    """
    rows = in_full_precision(embeddings)
    if not rows.shape[-1]:
        return rows
    largest = torch.linalg.vector_norm(rows.detach(), ord=torch.inf, dim=-1, keepdim=True)
    most = -math.frexp(torch.finfo(rows.dtype).tiny)[1] + 1
    exponent = largest.frexp().exponent.clamp(-most, most)
    scale = torch.ldexp(torch.ones_like(largest), -exponent)
    # In a row of zeros a one stands for each zero: the root of 0 has no derivative.
    zero = largest == 0
    near = torch.addcmul(zero.to(rows.dtype), rows, scale)
    length = torch.linalg.vector_norm(near, dim=-1, keepdim=True)
    return near / length.masked_fill(zero, torch.inf)


def in_full_precision(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tensor in float32 or, given float64, in float64."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def scalar_in_full_precision(value: float | Float[Tensor, ""]) -> float | Float[Tensor, ""]:
    """A learned number in full precision, so that its gradients are added up there; others as is.

    They come from several terms of opposite sign, whose sum bfloat16 would lose.
    """
    return in_full_precision(value) if isinstance(value, Tensor) else value
