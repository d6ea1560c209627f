"""The log-sum-exp with all similarities held at once: the reference that others must equal."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.similarity.sums import Sums


def dense_logsumexps(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    bias: Float[Tensor, " m"] | None,
    sums: Sums,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " count"] | None]:
    """For every row of `queries @ keys.T + bias`: log of the sum of exp.

    Args:
        queries: One row each; any float type, computed as it is.
        keys: One column each.
        bias: Added to every similarity of a key.
        sums: Which sums are wanted.

    Returns:
        The rows' log-sum-exp; and the columns', or that over each row's own group, or None.
        Minus infinity, with gradient 0, where nothing takes part.
    """
    similarities = queries @ keys.T
    if bias is not None:
        similarities = similarities + bias
    out = sums.pairs.left_out(slice(None), slice(None), queries.device)
    if out is None:
        out = torch.zeros_like(similarities, dtype=torch.bool)
    if sums.groups is not None:
        same = sums.groups[0][:, None] == sums.groups[1][None, :]
        return _logsumexp(similarities, out | same, 1), _logsumexp(similarities, out | ~same, 1)
    return _logsumexp(similarities, out, 1), (
        _logsumexp(similarities, out, 0) if sums.columns else None
    )


def _logsumexp(
    similarities: Float[Tensor, "n m"], out: Bool[Tensor, "n m"], dim: int
) -> Float[Tensor, " count"]:
    """Along one dimension, without what is left out."""
    if similarities.shape[dim] == 0:
        return similarities.sum(dim) - torch.inf
    # A finite stand-in: exp makes it 0 beside any real similarity, and no gradient turns to NaN.
    held = similarities.masked_fill(out, torch.finfo(similarities.dtype).min)
    return held.logsumexp(dim).masked_fill(out.all(dim), -torch.inf)
