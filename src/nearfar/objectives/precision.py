"""Full precision, whatever the embeddings come in; and sums of exponentials as logarithms.

The derivatives of these sums exist however far the terms are apart. The second derivative of
`torch.logaddexp` is NaN where one term outweighs the other by more than the range of exp, and where
one is 0.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


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


def nan_if_infinite(embeddings: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Full precision, infinity as NaN: e^−∞ would hide a broken row behind a loss of 0."""
    rows = in_full_precision(embeddings)
    return rows.masked_fill(rows.isinf(), torch.nan)


def scalar_in_full_precision(value: float | Float[Tensor, ""]) -> float | Float[Tensor, ""]:
    """A learned number in full precision, so that its gradients are added up there; others as is.

    They come from several terms of opposite sign, whose sum bfloat16 would lose.
    """
    return in_full_precision(value) if isinstance(value, Tensor) else value


# Above it log(1 + e^x) is x to the last bit of float64, and e^x is still finite in float32.
_LINEAR_ABOVE = 40.0


def minus_log_share(
    positive: Float[Tensor, "*rows"], negatives: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """`−log( e^p / (e^p + e^n) )` as `log(1 + e^{n − p})`, precise where it is nearly 0.

    Args:
        positive: Logarithm of the positive's term.
        negatives: Logarithm of the sum of the negatives' terms.
    """
    return F.softplus(negatives - positive, threshold=_LINEAR_ABOVE)


def log_add(
    first: Float[Tensor, "*#shape"], second: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*shape"]:
    """`log( e^a + e^b )`; at most one of the two may be minus infinity."""
    return torch.stack(torch.broadcast_tensors(first, second)).logsumexp(dim=0)
