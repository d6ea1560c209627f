"""The one primitive that the objectives stand on: an exact log-sum-exp over similarities.

    lse_i = log Σ_j exp(scale · q_i · k_j + bias_j)

over the keys that take part for row i. Memory grows with the rows, not with the pairs; value,
gradient and second derivatives are exact. Objectives ask for the sum over *negatives* and add their
positives themselves: once a positive outweighs all negatives, `lse over all − positive` cancels,
and `log1p(exp(lse over negatives − positive))` does not.
"""

import warnings

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.similarity.computing import computing_now
from nearfar.similarity.pairs import Numbers, Pairs, Sums
from nearfar.similarity.tiled_logsumexp import tiled_logsumexps
from nearfar.similarity.triton_logsumexp import triton_logsumexps, why_not_triton

_EVERYTHING = Pairs()


def logsumexp(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    scale: float | Float[Tensor, ""] = 1.0,
    bias: Float[Tensor, " m"] | None = None,
    pairs: Pairs = _EVERYTHING,
) -> Float[Tensor, " n"]:
    """Log-sum-exp of each query's similarities to the keys.

    Args:
        queries: One row each, of any float type; not normalised here.
        keys: Likewise. Pass the very same tensor where every row is compared with every other:
            the matrix is then symmetric and costs half.
        scale: Multiplies every dot product, above 0; 1 / temperature. A tensor gets its gradient.
        bias: Added to every similarity of a key, after the scale.
        pairs: Which pairs take part; where `keys is queries`, they must be symmetric too.

    Returns:
        In float32, or float64 where the queries are. Minus infinity, with gradient 0, for a query
        with which nothing takes part. NaN where an embedding is not finite.
    """
    rows, _ = _logsumexps(queries, keys, scale, bias, Sums(pairs))
    return rows


def row_and_column_logsumexp(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    scale: float | Float[Tensor, ""] = 1.0,
    pairs: Pairs = _EVERYTHING,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"]]:
    """Log-sum-exp of each query over the keys and of each key over the queries, in one pass.

    Both directions share every tile: four matrix products for value and gradient, where two calls
    of `logsumexp` take eight. Arguments and returns as there.
    """
    rows, columns = _logsumexps(queries, keys, scale, None, Sums(pairs, columns=True))
    assert columns is not None
    return rows, columns


def split_logsumexp(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    groups: Numbers,
    scale: float | Float[Tensor, ""] = 1.0,
    pairs: Pairs = _EVERYTHING,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Log-sum-exp of each query over the keys of its own group, and over all others, in one pass.

    `groups` holds a number for each query and for each key; equal numbers are of one group. Both
    sums come from the same tiles. Order the rows by group: tiles without a pair of one group, then
    most of them, need no mask. Other arguments as for `logsumexp`.

    Returns:
        Own group's and the others'; each as `logsumexp` returns it.
    """
    others, own = _logsumexps(queries, keys, scale, None, Sums(pairs, groups=groups))
    assert own is not None
    return own, others


def _logsumexps(
    queries: Tensor,
    keys: Tensor,
    scale: float | Tensor,
    bias: Tensor | None,
    sums: Sums,
) -> tuple[Tensor, Tensor | None]:
    """Bring the operands to full precision and to scale, and hand them on."""
    now = computing_now()
    wide = torch.promote_types(queries.dtype, torch.float32)
    with torch.autocast(queries.device.type, enabled=False):
        if keys is queries:
            # Half of the scale on either side keeps the matrix symmetric.
            queries = keys = queries.to(wide) * scale**0.5
        else:
            queries, keys = queries.to(wide) * scale, keys.to(wide)
        bias = None if bias is None else bias.to(wide)
        if now.implementation == "dense":
            return dense_logsumexps(queries, keys, bias, sums)
        if now.implementation == "triton":
            reason = why_not_triton(queries, sums)
            if reason is None:
                return triton_logsumexps(queries, keys, bias, sums, now)
            warnings.warn(f"computed by tiles: {reason}", stacklevel=4)
        return tiled_logsumexps(queries, keys, bias, sums, now)


def dense_logsumexps(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    bias: Float[Tensor, " m"] | None,
    sums: Sums,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " count"] | None]:
    """For every row of `queries @ keys.T + bias`: log of the sum of exp.

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
