"""The one primitive that the objectives stand on: an exact log-sum-exp over similarities.

    lse_i = log Σ_j exp(scale · q_i · k_j + bias_j)

over the keys that take part for row i. Memory grows with the rows, not with the pairs; value and
first gradient are exact. Objectives ask for the sum over *negatives* and add their positives
themselves: once a positive outweighs all negatives, `lse over all − positive` cancels, and
`log1p(exp(lse over negatives − positive))` does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.similarity.dense import dense_logsumexps
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.tiles import tiled_logsumexps

Implementation = Literal["tiles", "dense"]
_EVERYTHING = Pairs()


def logsumexp(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    scale: float | Float[Tensor, ""] = 1.0,
    bias: Float[Tensor, " m"] | None = None,
    pairs: Pairs = _EVERYTHING,
    implementation: Implementation = "tiles",
) -> Float[Tensor, " n"]:
    """Log-sum-exp of each query's similarities to the keys.

    Args:
        queries: One row each, of any float type; not normalised here.
        keys: Likewise. Pass the very same tensor where every row is compared with every other:
            the matrix is then symmetric and costs half.
        scale: Multiplies every dot product, above 0; 1 / temperature. A tensor gets its gradient.
        bias: Added to every similarity of a key, after the scale.
        pairs: Which pairs take part; where `keys is queries`, they must be symmetric too.
        implementation: `tiles`, or `dense`, which holds the whole matrix.

    Returns:
        In float32, or float64 where the queries are. Minus infinity, with gradient 0, for a query
        with which nothing takes part. NaN where an embedding is not finite.
    """
    rows, _ = _logsumexps(queries, keys, scale, bias, pairs, implementation, columns=False)
    return rows


def row_and_column_logsumexp(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    scale: float | Float[Tensor, ""] = 1.0,
    pairs: Pairs = _EVERYTHING,
    implementation: Implementation = "tiles",
) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"]]:
    """Log-sum-exp of each query over the keys and of each key over the queries, in one pass.

    Both directions share every tile: four matrix products for value and gradient, where two calls
    of `logsumexp` take eight. Arguments and returns as there.
    """
    rows, columns = _logsumexps(queries, keys, scale, None, pairs, implementation, columns=True)
    assert columns is not None
    return rows, columns


def _logsumexps(
    queries: Tensor,
    keys: Tensor,
    scale: float | Tensor,
    bias: Tensor | None,
    pairs: Pairs,
    implementation: Implementation,
    *,
    columns: bool,
) -> tuple[Tensor, Tensor | None]:
    """Bring the operands to full precision and to scale, and hand them on."""
    wide = torch.promote_types(queries.dtype, torch.float32)
    with torch.autocast(queries.device.type, enabled=False):
        if keys is queries:
            # Half of the scale on either side keeps the matrix symmetric.
            queries = keys = queries.to(wide) * scale**0.5
        else:
            queries, keys = queries.to(wide) * scale, keys.to(wide)
        bias = None if bias is None else bias.to(wide)
        if implementation == "dense":
            return dense_logsumexps(queries, keys, bias, pairs)
        return tiled_logsumexps(queries, keys, bias, pairs, columns=columns)


@contextmanager
def bf16_products() -> Iterator[None]:
    """Within this context, products of float32 matrices on the CPU multiply in bfloat16.

    Sums stay in float32. Faster than any float32 product where the processor multiplies bfloat16
    in hardware; similarities are then good to about 3 digits.
    """
    matmul = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before
