"""Objectives compute in full precision, whatever precision the embeddings come in."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def without_autocast(embeddings: Tensor) -> torch.autocast:
    """A context in which matrix products keep the precision of their operands."""
    return torch.autocast(embeddings.device.type, enabled=False)


def unit_rows(embeddings: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """Rows divided by their Euclidean norm, in float32 or, given float64, in float64.

    A row of zeros stays zero.
    """
    wide = torch.promote_types(embeddings.dtype, torch.float32)
    return F.normalize(embeddings.to(wide), dim=-1)


def in_full_precision(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tensor in float32 or, given float64, in float64."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def scalar_in_full_precision(value: float | Float[Tensor, ""]) -> float | Float[Tensor, ""]:
    """A learned number in full precision, so that its gradients are added up there; others as is.

    They come from several terms of opposite sign, whose sum bfloat16 would lose.
    """
    return in_full_precision(value) if isinstance(value, Tensor) else value
