"""Sums of softplus over similarities that are never all held."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nearfar.similarity.computing import Computing, computing_now
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.second_derivatives import (
    Gradients,
    Weights,
    differentiable_gradients,
)
from nearfar.similarity.tiles import Additions, Tile, TiledMatrix, adding
from nearfar.similarity.transformable import Transformable

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


class _TiledSoftplusSum(Transformable):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        queries: Tensor, keys: Tensor, bias: Tensor, pairs: Pairs, computing: Computing
    ) -> Tensor:
        matrix = TiledMatrix(queries, keys, bias, pairs, None, computing)
        sums = queries.new_zeros(len(queries))

        def terms(tile: Tile) -> Additions:
            found = F.softplus(matrix.similarities(tile), threshold=_LINEAR_ABOVE)
            matrix.drop(found, tile, 0.0)
            return adding([(sums[tile.rows], found.sum(1))]), adding([])

        with computing.precision():
            matrix.add_up(terms)
        computing.add_up(sums)
        return sums

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:  # noqa: ARG004
        *operands, ctx.pairs, ctx.computing = inputs
        ctx.save_for_backward(*operands)

    @staticmethod
    def backward(ctx: Any, by_row: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weights = _weights_of_sums(ctx.pairs, ctx.computing)
        compute = weights.gradients
        if torch.is_grad_enabled():
            compute = partial(differentiable_gradients, weights)
        gradients = compute(ctx.saved_tensors, (by_row,), ctx.needs_input_grad[:3])
        return *gradients, None, None


def _weights_of_sums(pairs: Pairs, computing: Computing) -> Weights:
    """How similarities are weighed in the gradient; depends on the incoming one of the sums too."""

    def gradients(operands: Any, further: Any, wanted: tuple[bool, ...]) -> Gradients:
        queries, keys, bias = operands
        matrix = TiledMatrix(queries, keys, bias, pairs, None, computing)
        # Called by whoever calls the backward pass, maybe under autocast.
        with computing.precision(), torch.autocast(queries.device.type, enabled=False):
            return matrix.gradients(_weights(matrix, *further), wanted)

    def of_block(rows: slice, similarities: Tensor, further: tuple[Tensor, ...]) -> Tensor:
        slopes = similarities.sigmoid()
        out = pairs.left_out(rows, slice(0, similarities.shape[1]), similarities.device)
        kept = slopes if out is None else slopes.masked_fill(out, 0.0)
        return kept * further[0][rows, None]

    return Weights(gradients, of_block, computing)


def _weights(matrix: TiledMatrix, by_row: Tensor) -> Callable[[Tile], Tensor]:
    """Gives a tile's gradient with respect to its similarities."""

    def weigh(tile: Tile) -> Tensor:
        held = matrix.similarities(tile).sigmoid_()
        matrix.drop(held, tile, 0.0)
        return held.mul_(by_row[tile.rows, None])

    return weigh
