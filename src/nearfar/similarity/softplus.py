"""Sums of softplus over similarities that are never all held."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nearfar.similarity.computing import Computing, computing_now
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.tiles import Additions, Matrix, Tile, adding

_EVERYTHING = Pairs()
# Above it softplus(x) is x to the last bit of float64, and exp(x) is still finite in float32.
_LINEAR_ABOVE = 40.0


def softplus_sum(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    scale: float | Float[Tensor, ""] = 1.0,
    bias: float | Float[Tensor, ""] = 0.0,
    pairs: Pairs = _EVERYTHING,
) -> Float[Tensor, " n"]:
    """For each query, `Σ_j softplus(scale · q · k_j + bias)` over the keys that take part.

    Args:
        queries: One row each, of any float type; not normalised here.
        keys: Likewise.
        scale: Multiplies every dot product. A tensor gets its gradient.
        bias: Added to every similarity. A tensor gets its gradient.
        pairs: Which pairs take part.

    Returns:
        In float32, or float64 where the queries are. 0 for a query with which nothing takes part;
        NaN where an embedding is not finite.
    """
    wide = torch.promote_types(queries.dtype, torch.float32)
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys = queries.to(wide) * scale, keys.to(wide)
        added = torch.as_tensor(bias, dtype=wide, device=queries.device)
        now = computing_now()
        if now.implementation == "dense":
            return _dense_sums(queries, keys, added, pairs)
        return _TiledSoftplusSum.apply(queries, keys, added, pairs, now)  # pyright: ignore[reportReturnType]


def _dense_sums(queries: Tensor, keys: Tensor, bias: Tensor, pairs: Pairs) -> Tensor:
    """The reference, which holds the whole matrix."""
    terms = F.softplus(queries @ keys.T + bias, threshold=_LINEAR_ABOVE)
    out = pairs.left_out(slice(None), slice(None), queries.device)
    return (terms if out is None else terms.masked_fill(out, 0.0)).sum(dim=1)


class _TiledSoftplusSum(torch.autograd.Function):
    """The sums tile by tile."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, bias: Tensor, pairs: Pairs, computing: Computing
    ) -> Tensor:
        matrix = Matrix(queries, keys, bias, pairs, None, computing)
        sums = queries.new_zeros(len(queries))

        def terms(tile: Tile) -> Additions:
            found = F.softplus(matrix.similarities(tile), threshold=_LINEAR_ABOVE)
            matrix.drop(found, tile, 0.0)
            return adding([(sums[tile.rows], found.sum(1))]), adding([])

        with computing.precision():
            matrix.add_up(terms)
        computing.add_up(sums)
        ctx.save_for_backward(queries, keys, bias)
        ctx.pairs, ctx.computing = pairs, computing
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_row: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        queries, keys, bias = ctx.saved_tensors
        matrix = Matrix(queries, keys, bias, ctx.pairs, None, ctx.computing)
        with ctx.computing.precision():
            gradients = matrix.gradients(_weights(matrix, by_row), ctx.needs_input_grad[:3])
        return *gradients, None, None


def _weights(matrix: Matrix, by_row: Tensor) -> Callable[[Tile], Tensor]:
    """Gives a tile's gradient with respect to its similarities."""

    def weigh(tile: Tile) -> Tensor:
        held = matrix.similarities(tile).sigmoid_()
        matrix.drop(held, tile, 0.0)
        return held.mul_(by_row[tile.rows, None])

    return weigh
