"""The log-sum-exp tile by tile, in memory that grows with the rows and not with their square.

A tile of similarities lives in one reused buffer, small enough for the cache. The backward pass
computes each tile again instead of keeping it. When queries are the keys the matrix is symmetric:
only tiles on and above its diagonal are computed, and each serves its rows and its columns, so that
value and gradient cost two and not four products of the whole matrix.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from nearfar.similarity.pairs import Pairs

TILE = 512
"""Rows and columns of a tile: 1 MiB in float32, which stays in a core's cache."""

# Largest spread of exponents for which one shift serves all rows: beyond it the smallest
# exponentials would sink into denormal numbers.
_ONE_SHIFT = {torch.float32: 80.0, torch.float64: 700.0}


@dataclass(frozen=True)
class _Tile:
    """One tile: its rows, its columns, and whether a pair in it may take no part."""

    rows: slice
    keys: slice
    masked: bool
    diagonal: bool


@dataclass
class _Matrix:
    """The similarities as the tiles see them."""

    queries: Tensor
    keys: Tensor
    bias: Tensor | None
    pairs: Pairs
    symmetric: bool

    def __post_init__(self) -> None:
        rows, columns = len(self.queries), len(self.keys)
        self.masked = self.pairs.touched_tiles(TILE, rows, columns).tolist()
        self.buffer = self.queries.new_empty(min(rows, TILE) * min(columns, TILE))

    def tiles(self) -> Iterator[_Tile]:
        """All tiles, or those on and above the diagonal of a symmetric matrix."""
        for row in range(0, len(self.queries), TILE):
            for key in range(row if self.symmetric else 0, len(self.keys), TILE):
                yield _Tile(
                    slice(row, min(row + TILE, len(self.queries))),
                    slice(key, min(key + TILE, len(self.keys))),
                    self.masked[row // TILE][key // TILE],
                    self.symmetric and row == key,
                )

    def similarities(self, tile: _Tile) -> Float[Tensor, "rows keys"]:
        """A tile of similarities, in the shared buffer."""
        queries, keys = self.queries[tile.rows], self.keys[tile.keys]
        held = self.buffer[: len(queries) * len(keys)].view(len(queries), len(keys))
        torch.mm(queries, keys.T, out=held)
        if self.bias is not None:
            held += self.bias[tile.keys]
        return held

    def drop(self, held: Tensor, tile: _Tile, value: float) -> None:
        """Set what takes no part to a value."""
        if tile.masked:
            out = self.pairs.left_out(tile.rows, tile.keys, held.device)
            if out is not None:
                held.masked_fill_(out, value)

    def shift(self) -> float | None:
        """A number that no similarity exceeds and none falls far below, if there is one."""
        if not len(self.queries) or not len(self.keys):
            return 0.0
        # Cauchy and Schwarz bound every similarity by the norms.
        reach = float(self.queries.norm(dim=1).max() * self.keys.norm(dim=1).max())
        low = high = 0.0
        if self.bias is not None:
            low, high = float(self.bias.min()), float(self.bias.max())
        if not 2 * reach + high - low <= _ONE_SHIFT[self.queries.dtype]:
            return None
        return reach + high


class _RunningSum:
    """Log-sum-exp gathered tile by tile, each row with its own running maximum."""

    def __init__(self, count: int, like: Tensor) -> None:
        self.maximum = like.new_full((count,), torch.finfo(like.dtype).min)
        self.total = like.new_zeros(count)

    def add(self, where: slice, held: Tensor, dim: int) -> None:
        """Add a tile's similarities along a dimension; what takes no part is minus infinity."""
        before = self.maximum[where]
        maximum = torch.maximum(before, held.amax(dim))
        added = (held - maximum.unsqueeze(dim)).exp_().sum(dim)
        self.total[where] = self.total[where] * (before - maximum).exp() + added
        self.maximum[where] = maximum

    def logarithm(self) -> Tensor:
        """The log-sum-exp; minus infinity where nothing was added."""
        return self.total.log() + self.maximum


def _sums(matrix: _Matrix, columns: bool) -> tuple[Tensor, Tensor]:
    """Rows' and columns' log-sum-exp; the columns' is empty where it is not wanted."""
    shift = matrix.shift()
    count = len(matrix.keys) if columns and not matrix.symmetric else 0
    if shift is None:
        return _sums_with_maxima(matrix, count)
    by_row = matrix.queries.new_zeros(len(matrix.queries))
    by_key = by_row if matrix.symmetric else matrix.queries.new_zeros(count)
    for tile in matrix.tiles():
        held = matrix.similarities(tile).sub_(shift).exp_()
        matrix.drop(held, tile, 0.0)
        by_row[tile.rows] += held.sum(1)
        if (count or matrix.symmetric) and not tile.diagonal:
            by_key[tile.keys] += held.sum(0)
    rows = by_row.log() + shift
    return rows, rows if matrix.symmetric else by_key.log() + shift


def _sums_with_maxima(matrix: _Matrix, count: int) -> tuple[Tensor, Tensor]:
    """The same where similarities spread so far that each row needs a shift of its own."""
    by_row = _RunningSum(len(matrix.queries), matrix.queries)
    by_key = by_row if matrix.symmetric else _RunningSum(count, matrix.queries)
    for tile in matrix.tiles():
        held = matrix.similarities(tile)
        matrix.drop(held, tile, -torch.inf)
        by_row.add(tile.rows, held, 1)
        if (count or matrix.symmetric) and not tile.diagonal:
            by_key.add(tile.keys, held, 0)
    rows = by_row.logarithm()
    return rows, rows if matrix.symmetric else by_key.logarithm()


def _weights(
    matrix: _Matrix, rows: Tensor, columns: Tensor | None, by_row: Tensor, by_key: Tensor | None
) -> Callable[[_Tile], Tensor]:
    """A function from a tile to the gradient with respect to its similarities.

    `by_row · softmax over the row + by_key · softmax over the column`: one exponential a pair where
    one shift serves all rows, else one for each term.
    """
    shift = matrix.shift()
    if shift is None:
        return _weights_with_own_shifts(matrix, rows, columns, by_row, by_key)
    row_factor = _zero_where_empty(by_row * (shift - rows).exp(), rows)
    key_factor = None
    if by_key is not None and columns is not None:
        key_factor = _zero_where_empty(by_key * (shift - columns).exp(), columns)

    def weights(tile: _Tile) -> Tensor:
        held = matrix.similarities(tile).sub_(shift).exp_()
        matrix.drop(held, tile, 0.0)
        factor = row_factor[tile.rows, None]
        if key_factor is not None:
            factor = factor + key_factor[None, tile.keys]
        return held.mul_(factor)

    return weights


def _weights_with_own_shifts(
    matrix: _Matrix, rows: Tensor, columns: Tensor | None, by_row: Tensor, by_key: Tensor | None
) -> Callable[[_Tile], Tensor]:
    """The same where similarities spread so far that each row needs a shift of its own."""
    finite_rows = rows.masked_fill(rows == -torch.inf, 0.0)
    finite_columns = None if columns is None else columns.masked_fill(columns == -torch.inf, 0.0)

    def weights(tile: _Tile) -> Tensor:
        held = matrix.similarities(tile)
        matrix.drop(held, tile, -torch.inf)
        found = (held - finite_rows[tile.rows, None]).exp_().mul_(by_row[tile.rows, None])
        if by_key is not None and finite_columns is not None:
            found += held.sub_(finite_columns[None, tile.keys]).exp_() * by_key[None, tile.keys]
        return found

    return weights


def _zero_where_empty(factor: Tensor, logarithm: Tensor) -> Tensor:
    """A row in which nothing takes part has no gradient."""
    return factor.masked_fill(logarithm == -torch.inf, 0.0)


class _TiledLogSumExp(torch.autograd.Function):
    """Log-sum-exp of rows and of columns; `keys` is None where queries are the keys."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor | None,
        bias: Tensor | None,
        pairs: Pairs,
        columns: bool,
    ) -> tuple[Tensor, Tensor]:
        symmetric = keys is None
        matrix = _Matrix(queries, queries if keys is None else keys, bias, pairs, symmetric)
        rows, by_key = _sums(matrix, columns)
        if symmetric:
            by_key = rows.new_zeros(0)
        ctx.save_for_backward(queries, keys, bias, rows, by_key)
        ctx.pairs, ctx.columns = pairs, columns
        return rows, by_key

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_row: Tensor, by_key: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        queries, keys, bias, rows, columns = ctx.saved_tensors
        symmetric = keys is None
        matrix = _Matrix(queries, queries if keys is None else keys, bias, ctx.pairs, symmetric)
        if symmetric:
            weights = _weights(matrix, rows, rows, by_row, by_row)
        elif ctx.columns:
            weights = _weights(matrix, rows, columns, by_row, by_key)
        else:
            weights = _weights(matrix, rows, None, by_row, None)
        to_queries = torch.zeros_like(queries)
        to_keys = to_queries if keys is None else torch.zeros_like(keys)
        to_bias = None if bias is None else torch.zeros_like(bias)
        for tile in matrix.tiles():
            weight = weights(tile)
            to_queries[tile.rows].addmm_(weight, matrix.keys[tile.keys])
            if not tile.diagonal:
                to_keys[tile.keys].addmm_(weight.T, matrix.queries[tile.rows])
            if to_bias is not None:
                to_bias[tile.keys] += weight.sum(0)
        return to_queries, None if keys is None else to_keys, to_bias, None, None


def tiled_logsumexps(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    bias: Float[Tensor, " m"] | None,
    pairs: Pairs,
    *,
    columns: bool,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"] | None]:
    """The tiles' answer to `dense_logsumexps`: the same values and first gradients.

    Args:
        queries: One row each, float32 or float64.
        keys: One column each; the very tensor `queries` where the matrix is symmetric, without a
            bias and with pairs that are symmetric too.
        bias: Added to every similarity of a key.
        pairs: Which pairs take part.
        columns: Whether the columns' log-sum-exp is wanted as well.

    Returns:
        Rows' log-sum-exp, and columns' or None.
    """
    if keys is queries and bias is None:
        rows, _ = _TiledLogSumExp.apply(queries, None, None, pairs, False)  # pyright: ignore[reportGeneralTypeIssues]
        return rows, rows if columns else None
    rows, by_key = _TiledLogSumExp.apply(queries, keys, bias, pairs, columns)  # pyright: ignore[reportGeneralTypeIssues]
    return rows, by_key if columns else None
