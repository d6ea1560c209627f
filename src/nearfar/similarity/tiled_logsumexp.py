"""Log-sum-exp over the tiles of a matrix, with its gradient, in memory that grows with the rows.

The backward pass computes each tile again instead of keeping it. A symmetric matrix costs two
products of the whole matrix for value and gradient, not four.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.similarity.computing import Computing
from nearfar.similarity.pairs import Sums
from nearfar.similarity.second_derivatives import (
    Gradients,
    Weights,
    differentiable_gradients,
)
from nearfar.similarity.threads import Addition
from nearfar.similarity.tiles import Additions, Survey, Tile, TiledMatrix, adding, together
from nearfar.similarity.transformable import Transformable

# Largest spread of exponents for which one shift serves all rows: beyond it the smallest
# exponentials would sink into denormal numbers.
_ONE_SHIFT = {torch.float32: 80.0, torch.float64: 700.0}

Kept = dict[tuple[int, int], tuple[Tensor, Tensor | None]]
"""The exponentials of every tile, by its corner; and those of one group, where there are any."""


def tiled_logsumexps(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    bias: Float[Tensor, " m"] | None,
    sums: Sums,
    computing: Computing,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " count"] | None]:
    """The tiles' answer to `dense_logsumexps`: the same values and first and second derivatives.

    Args:
        queries: One row each, float32 or float64.
        keys: One column each; the very tensor `queries` where the matrix is symmetric, without a
            bias and with pairs that are symmetric too.
        bias: Added to every similarity of a key.
        sums: Which sums are wanted.
        computing: How precisely, and who shares the tiles.

    Returns:
        The rows' log-sum-exp; and the columns', or that over each row's own group, or None.
    """
    symmetric = keys is queries and bias is None
    rows, second = _TiledLogSumExp.apply(  # pyright: ignore[reportGeneralTypeIssues]
        queries, None if symmetric else keys, bias, sums, computing, _Found()
    )
    if sums.columns:
        return rows, rows if symmetric else second
    return rows, second if sums.groups is not None else None


@dataclass
class _Found:
    """What the forward pass leaves to the backward pass beside its values."""

    survey: Survey | None = None
    shift: float | None = None
    kept: Kept | None = None


class _TiledLogSumExp(Transformable):
    """Two log-sum-exps; the second is empty where it is not wanted, or is the first."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        queries: Tensor,
        keys: Tensor | None,
        bias: Tensor | None,
        sums: Sums,
        computing: Computing,
        found: _Found,
    ) -> tuple[Tensor, Tensor]:
        matrix = TiledMatrix(queries, keys, bias, sums.pairs, sums.groups, computing)
        with computing.precision():
            found.survey, found.shift = matrix.survey, _one_shift(matrix)
            rows, second, found.kept = _logsumexps(matrix, found.shift, columns=sums.columns)
        return rows, second

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *operands, sums, computing, found = inputs
        ctx.save_for_backward(*operands, *output)
        ctx.sums, ctx.computing, ctx.survey, ctx.shift = sums, computing, found.survey, found.shift
        ctx.kept = found.kept if any(ctx.needs_input_grad[:3]) else None

    @staticmethod
    def backward(ctx: Any, by_row: Tensor, by_second: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        *operands, rows, second = ctx.saved_tensors
        further, wanted = (by_row, by_second, rows, second), ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            gradients = differentiable_gradients(
                weights_of_logsumexps(ctx.sums, ctx.computing), tuple(operands), further, wanted
            )
        else:
            matrix = _matrix(operands, ctx.sums, ctx.computing, ctx.survey)
            gradients = _gradients(matrix, ctx.sums, further, wanted, ctx.shift, ctx.kept)
        return *gradients, None, None, None


def weights_of_logsumexps(sums: Sums, computing: Computing) -> Weights:
    """How similarities are weighed in the gradient of these log-sum-exps.

    Beside queries, keys and bias it depends on the incoming gradients of the rows' log-sum-exp and
    of the second, and on the two themselves.
    """

    def gradients(operands: Any, further: Any, wanted: tuple[bool, ...]) -> Gradients:
        matrix = _matrix(operands, sums, computing)
        return _gradients(matrix, sums, further, wanted, _one_shift(matrix))

    def of_block(rows: slice, similarities: Tensor, further: tuple[Tensor, ...]) -> Tensor:
        by_row, by_second, first, second = further
        device = similarities.device
        out = sums.pairs.left_out(rows, slice(0, similarities.shape[1]), device)
        held = similarities if out is None else similarities.masked_fill(out, -torch.inf)

        def share(by: Tensor, logsumexp: Tensor, dim: int, held: Tensor) -> Tensor:
            share = _Share(by, logsumexp)
            return share.by.unsqueeze(dim) * (held - share.logsumexp.unsqueeze(dim)).exp()

        if sums.groups is not None:
            same = sums.groups[0][rows, None] == sums.groups[1][None, :]
            others, own = held.masked_fill(same, -torch.inf), held.masked_fill(~same, -torch.inf)
            return share(by_row[rows], first[rows], 1, others) + share(
                by_second[rows], second[rows], 1, own
            )
        weights = share(by_row[rows], first[rows], 1, held)
        # Of a symmetric matrix the rows' are the columns', and the second is empty.
        return weights + share(by_second, second, 0, held) if second.shape[0] else weights

    return Weights(gradients, of_block, computing)


def _matrix(
    operands: Any, sums: Sums, computing: Computing, survey: Survey | None = None
) -> TiledMatrix:
    queries, keys, bias = operands
    return TiledMatrix(queries, keys, bias, sums.pairs, sums.groups, computing, survey)


def _one_shift(matrix: TiledMatrix) -> float | None:
    """A number that no similarity exceeds and none falls far below, if there is one."""
    if 0 in matrix.shape:
        return 0.0
    # Cauchy and Schwarz bound every similarity by the norms.
    longest = matrix.queries.norm(dim=1).max()
    reach = float(longest * (longest if matrix.symmetric else matrix.columns.norm(dim=1).max()))
    low = high = 0.0
    if matrix.bias is not None:
        low, high = float(matrix.bias.min()), float(matrix.bias.max())
    if not 2 * reach + high - low <= _ONE_SHIFT[matrix.queries.dtype]:
        return None
    return reach + high


def _gradients(
    matrix: TiledMatrix,
    sums: Sums,
    further: tuple[Tensor, ...],
    wanted: tuple[bool, ...],
    shift: float | None,
    kept: Kept | None = None,
) -> Gradients:
    by_row, by_second, rows, second = further
    first = _Share(by_row, rows)
    own = _Share(by_second, second) if sums.groups is not None else None
    columns = None
    if matrix.symmetric:
        columns = first
    elif sums.columns:
        columns = _Share(by_second, second)
    # Called by whoever calls the backward pass, maybe under autocast.
    with matrix.computing.precision(), torch.autocast(matrix.queries.device.type, enabled=False):
        if shift is None:
            weigh = _weights_with_own_shifts(matrix, first, own, columns)
        elif kept is None:
            weigh = _weights(matrix, shift, first, own, columns)
        else:
            weigh = _kept_weights(matrix, shift, first, own, columns, kept)
        return matrix.gradients(weigh, wanted)


def _logsumexps(
    matrix: TiledMatrix, shift: float | None, *, columns: bool
) -> tuple[Tensor, Tensor, Kept | None]:
    """Rows' log-sum-exp; and the columns' or the own groups', empty where not wanted.

    Last, of every tile the exponentials and those of one group, where the matrix is small and the
    backward pass may have them as they are: computing them again would cost small batches a quarter
    of their time.
    """
    count = matrix.shape[0]
    second = count if matrix.groups is not None else 0
    if columns and not matrix.symmetric:
        second = matrix.shape[1]
    first, other = (_empty_sum(each, matrix.queries, shift) for each in (count, second))
    by_key = first if matrix.symmetric else (other if columns else None)
    kept: Kept | None = {} if shift is not None and matrix.is_small else None

    def terms(tile: Tile) -> Additions:
        held, own = first.terms(matrix.similarities(tile)), None
        matrix.drop(held, tile, first.nothing)
        same = matrix.same_group(tile)
        for_rows: list[Addition] = []
        for_keys: list[Addition] = []
        if same is not None:
            own = held.masked_fill(~same, first.nothing)
            held.masked_fill_(same, first.nothing)
            for_rows.append(other.addition(tile.rows, own, 1))
            if matrix.symmetric and not tile.diagonal:
                for_keys.append(other.addition(tile.keys, own, 0))
        for_rows.append(first.addition(tile.rows, held, 1))
        if by_key is not None and not tile.diagonal:
            for_keys.append(by_key.addition(tile.keys, held, 0))
        if kept is not None:
            kept[tile.corner] = held, own
        return together(for_rows), together(for_keys)

    matrix.add_up(terms)
    return first.logarithm(matrix.computing), other.logarithm(matrix.computing), kept


def _empty_sum(count: int, like: Tensor, shift: float | None) -> "_ShiftedSum | _RunningSum":
    return _RunningSum(count, like) if shift is None else _ShiftedSum(count, like, shift)


class _ShiftedSum:
    """Log-sum-exp gathered tile by tile where one shift serves all rows."""

    nothing = 0.0

    def __init__(self, count: int, like: Tensor, shift: float) -> None:
        self.shift = shift
        self.total = like.new_zeros(count)

    def terms(self, held: Tensor) -> Tensor:
        """What is added, of a tile of similarities; in place."""
        return held.sub_(self.shift).exp_()

    def addition(self, where: slice, held: Tensor, dim: int) -> Addition:
        """Sum a tile's terms along a dimension; and how to add that."""
        return adding([(self.total[where], held.sum(dim))])

    def logarithm(self, computing: Computing) -> Tensor:
        """The log-sum-exp; minus infinity where nothing was added."""
        computing.add_up(self.total)
        return self.total.log() + self.shift


class _RunningSum:
    """The same where similarities spread so far that each row needs its own running maximum."""

    nothing = -torch.inf

    def __init__(self, count: int, like: Tensor) -> None:
        self.maximum = like.new_full((count,), torch.finfo(like.dtype).min)
        self.total = like.new_zeros(count)

    def terms(self, held: Tensor) -> Tensor:
        """What is added, of a tile of similarities: they themselves, as the maximum may change."""
        return held

    def addition(self, where: slice, held: Tensor, dim: int) -> Addition:
        """Sum a tile's terms along a dimension, less their maximum; and how to add that."""
        largest = held.amax(dim).clamp_(min=torch.finfo(held.dtype).min)
        added = (held - largest.unsqueeze(dim)).exp_().sum(dim)

        def add() -> None:
            before = self.maximum[where]
            maximum = torch.maximum(before, largest)
            kept = self.total[where] * (before - maximum).exp()
            self.total[where] = kept + added * (largest - maximum).exp()
            self.maximum[where] = maximum

        return add

    def logarithm(self, computing: Computing) -> Tensor:
        """The log-sum-exp; minus infinity where nothing was added."""
        mine = self.maximum.clone()
        computing.take_largest(self.maximum)
        self.total *= (mine - self.maximum).exp()
        computing.add_up(self.total)
        return self.total.log() + self.maximum


class _Share:
    """How much of a row's (or column's) gradient each of its terms gets: `by · exp(s − lse)`."""

    def __init__(self, by: Tensor, logsumexp: Tensor) -> None:
        # A row in which nothing takes part has no gradient.
        self.empty = logsumexp == -torch.inf
        self.by = by.masked_fill(self.empty, 0.0)
        self.logsumexp = logsumexp.masked_fill(self.empty, 0.0)

    def factor(self, shift: float) -> Tensor:
        """`by · exp(shift − lse)`, which turns `exp(s − shift)` into the gradient."""
        return (self.by * (shift - self.logsumexp).exp()).masked_fill(self.empty, 0.0)


def _weights(
    matrix: TiledMatrix, shift: float, rows: _Share, own: _Share | None, columns: _Share | None
) -> Callable[[Tile], Tensor]:
    """Gives a tile's gradient with respect to its similarities, in a buffer of its thread's.

    `by_row · softmax over the row + by_column · softmax over the column`: one exponential a pair,
    as one shift serves all rows.
    """
    by_row = rows.factor(shift)
    by_column = None if columns is None else columns.factor(shift)
    by_own = None if own is None else own.factor(shift)

    def weigh(tile: Tile) -> Tensor:
        held = matrix.similarities(tile).sub_(shift).exp_()
        matrix.drop(held, tile, 0.0)
        factor = matrix.factors(by_row, by_column, tile)
        same = matrix.same_group(tile)
        if same is not None and by_own is not None:
            within = by_own[tile.rows, None]
            if matrix.symmetric:
                within = within + by_own[None, tile.keys]
            factor = torch.where(same, within, factor)
        return held.mul_(factor)

    return weigh


def _kept_weights(
    matrix: TiledMatrix,
    shift: float,
    rows: _Share,
    own: _Share | None,
    columns: _Share | None,
    kept: Kept,
) -> Callable[[Tile], Tensor]:
    """The same from exponentials that were kept, and stay: the backward pass may come again."""
    by_row = rows.factor(shift)
    by_column = None if columns is None else columns.factor(shift)
    by_own = None if own is None else own.factor(shift)

    def weigh(tile: Tile) -> Tensor:
        others, of_group = kept[tile.corner]
        held = matrix.buffer(others.shape[0], others.shape[1])
        torch.mul(others, matrix.factors(by_row, by_column, tile), out=held)
        if by_own is not None and of_group is not None:
            within = matrix.factors(by_own, by_own if matrix.symmetric else None, tile)
            held.addcmul_(of_group, within)
        return held

    return weigh


def _weights_with_own_shifts(
    matrix: TiledMatrix, rows: _Share, own: _Share | None, columns: _Share | None
) -> Callable[[Tile], Tensor]:
    """The same where similarities spread so far that each row needs a shift of its own."""

    def softmax(held: Tensor, share: _Share, where: slice, dim: int, same: Tensor | None) -> Tensor:
        logsumexp = share.logsumexp[where].unsqueeze(dim)
        by = share.by[where].unsqueeze(dim)
        if same is not None and own is not None:
            logsumexp = torch.where(same, own.logsumexp[where].unsqueeze(dim), logsumexp)
            by = torch.where(same, own.by[where].unsqueeze(dim), by)
        return (held - logsumexp).exp_().mul_(by)

    def weigh(tile: Tile) -> Tensor:
        held = matrix.similarities(tile)
        matrix.drop(held, tile, -torch.inf)
        same = matrix.same_group(tile)
        found = softmax(held, rows, tile.rows, 1, same)
        if columns is not None:
            found += softmax(held, columns, tile.keys, 0, same)
        return found

    return weigh
