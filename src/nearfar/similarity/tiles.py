"""A matrix of similarities tile by tile: it is never all held.

A tile lives in a buffer that its thread uses again, small enough for the cache. When queries are
the keys the matrix is symmetric: only tiles on and above its diagonal are computed, and each serves
its rows and its columns. Where ranks share the work, each takes every so-manieth tile; its threads
take the next one that is left, and what tiles add up is added in their order (`threads.py`).
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.similarity.computing import Computing
from nearfar.similarity.pairs import Numbers, Pairs
from nearfar.similarity.threads import Addition, Turns, for_each

TILE = 512
"""Rows and columns of a tile: 1 MiB in float32, which stays in a core's cache."""
FEW = 4
"""Up to so many tiles a side are made of four smaller ones each, so that threads can share them."""


@dataclass(frozen=True)
class Tile:
    """One tile: its rows, its columns, and what is known of the pairs in it."""

    rows: slice
    keys: slice
    masked: bool
    """Whether a pair in it may take no part."""
    grouped: bool
    """Whether a pair in it may be of one group."""
    diagonal: bool
    """Whether it holds the diagonal of a symmetric matrix, and so both its triangles."""

    @property
    def corner(self) -> tuple[int, int]:
        """First row and first key."""
        return self.rows.start, self.keys.start


Additions = tuple[Addition, Addition]
"""What a tile adds to sums of its rows, and of its keys."""


@dataclass(frozen=True)
class Survey:
    """What is found out about a matrix before its tiles are computed.

    Attributes:
        empty: Which tiles hold no pair that takes part, by row and column of tiles.
        masked: Which may hold a pair that takes no part.
        grouped: Which may hold a pair of one group.
    """

    empty: list[list[bool]]
    masked: list[list[bool]]
    grouped: list[list[bool]]


@dataclass
class TiledMatrix:
    """The similarities of queries and keys, `queries @ keys.T + bias`, as the tiles see them.

    Attributes:
        queries: One row each, float32 or float64.
        keys: One column each; None where the queries are the keys.
        bias: Added to every similarity of a key, or one number; None adds nothing.
        pairs: Which pairs take part; symmetric where the queries are the keys.
        groups: A number for each query and each key; pairs of equal numbers are summed apart.
        computing: Who shares the tiles.
        tile: Rows and columns of a tile; None for as many as suit a processor's cache.
        known: What the forward pass found out, given to the backward pass.
        survey: That, or what is found out here.
        shape: How many queries and keys there are.
    """

    queries: Float[Tensor, "n dim"]
    keys: Float[Tensor, "m dim"] | None
    bias: Tensor | None
    pairs: Pairs
    groups: Numbers | None
    computing: Computing
    known: InitVar[Survey | None] = None
    sides: InitVar[int | None] = None
    survey: Survey = field(init=False)
    shape: tuple[int, int] = field(init=False)
    columns: Float[Tensor, "m dim"] = field(init=False)
    tile: int = field(init=False)

    def __post_init__(self, known: Survey | None, sides: int | None) -> None:
        self.columns = self.queries if self.keys is None else self.keys
        # Kept: while a run draws from its own generators, each question costs microseconds.
        self.shape = self.queries.shape[0], self.columns.shape[0]
        self.tile = sides or (TILE if max(self.shape) > FEW * TILE else TILE // 2)
        self.survey = self._surveyed(*self.shape) if known is None else known
        self._size = min(self.shape[0], self.tile) * min(self.shape[1], self.tile)
        self._of_thread = threading.local()

    @property
    def is_small(self) -> bool:
        """Whether one tile of the largest size would hold everything."""
        return self.shape[0] * self.shape[1] <= TILE**2

    @property
    def symmetric(self) -> bool:
        """Whether the queries are the keys."""
        return self.keys is None

    def tiles(self) -> Iterator[Tile]:
        """All tiles that are not empty, of a symmetric matrix those on and above the diagonal; of
        several ranks, this rank's share."""
        number = 0
        rows, columns = self.shape
        for row in range(0, rows, self.tile):
            for key in range(row if self.symmetric else 0, columns, self.tile):
                if self.survey.empty[row // self.tile][key // self.tile]:
                    continue
                number += 1
                if number % self.computing.ranks != self.computing.rank:
                    continue
                yield Tile(
                    slice(row, min(row + self.tile, rows)),
                    slice(key, min(key + self.tile, columns)),
                    masked=self.survey.masked[row // self.tile][key // self.tile],
                    grouped=self.survey.grouped[row // self.tile][key // self.tile],
                    diagonal=self.symmetric and row == key,
                )

    def for_each(self, work: Callable[[Tile], None]) -> None:
        """Compute all tiles, on several threads and in any order."""
        tiles = list(self.tiles())
        for_each(len(tiles), lambda number: work(tiles[number]), self.queries.device)

    def add_up(self, work: "Callable[[Tile], Additions]") -> None:
        """Compute all tiles, on several threads, and add up what they give, in their order.

        Args:
            work: Computes a tile and gives what is then to be added for its rows, and for its keys.
                Of two tiles that share rows or keys, the first one's additions come first. A tile
                on the diagonal of a symmetric matrix has one block of both: nothing is added for
                its keys.
        """
        tiles = list(self.tiles())
        turns = Turns([self._places(tile) for tile in tiles])

        def compute(number: int) -> None:
            for_rows, for_keys = work(tiles[number])
            alone = tiles[number].diagonal
            turns.add(number, (for_rows,) if alone else (for_rows, for_keys))

        for_each(len(tiles), compute, self.queries.device, turns.stop)

    def _places(self, tile: Tile) -> list[tuple[str, int]]:
        """Which blocks of rows and of keys a tile adds to."""
        if tile.diagonal:
            return [("row", tile.rows.start)]
        return [("row", tile.rows.start), ("row" if self.symmetric else "key", tile.keys.start)]

    def buffer(self, rows: int, keys: int, name: str = "held") -> Float[Tensor, "rows keys"]:
        """Room for one tile, which this thread's next tile takes again; another for each name."""
        held = getattr(self._of_thread, name, None)
        if held is None:
            held = self.queries.new_empty(self._size)
            setattr(self._of_thread, name, held)
        return held[: rows * keys].view(rows, keys)

    def similarities(self, tile: Tile) -> Float[Tensor, "rows keys"]:
        """A tile of similarities, in this thread's buffer; of a small matrix, in memory to keep."""
        queries, keys = self.queries[tile.rows], self.columns[tile.keys]
        make = self.queries.new_empty if self.is_small else self.buffer
        held = make(queries.shape[0], keys.shape[0])
        torch.mm(queries, keys.T, out=held)
        if self.bias is not None:
            held += self.bias[tile.keys] if self.bias.ndim else self.bias
        return held

    def drop(self, held: Float[Tensor, "rows keys"], tile: Tile, value: float) -> None:
        """Set what takes no part to a value."""
        if tile.masked:
            out = self.pairs.left_out(tile.rows, tile.keys, held.device)
            if out is not None:
                held.masked_fill_(out, value)

    def factors(
        self, by_row: Float[Tensor, " n"], by_key: Float[Tensor, " m"] | None, tile: Tile
    ) -> Float[Tensor, "rows keys_or_one"]:
        """A number of its row, plus one of its column if there are, for each pair of a tile.

        The sums lie in another buffer of this thread's.
        """
        rows = by_row[tile.rows, None]
        if by_key is None:
            return rows
        keys = by_key[None, tile.keys]
        return torch.add(rows, keys, out=self.buffer(rows.shape[0], keys.shape[1], "factors"))

    def same_group(self, tile: Tile) -> Bool[Tensor, "rows keys"] | None:
        """Where query and key are of one group; None where none are."""
        if self.groups is None or not tile.grouped:
            return None
        queries, keys = self.groups
        return queries[tile.rows, None] == keys[None, tile.keys]

    def _surveyed(self, rows: int, columns: int) -> Survey:
        return Survey(
            self.pairs.empty_tiles(self.tile, rows, columns).tolist(),
            self.pairs.touched_tiles(self.tile, rows, columns).tolist(),
            Pairs(apart=self.groups).touched_tiles(self.tile, rows, columns).tolist(),
        )

    def gradients(
        self, weigh: Callable[[Tile], Float[Tensor, "rows keys"]], wanted: tuple[bool, ...]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of queries, keys and bias, from those of the similarities, tile by tile.

        Args:
            weigh: Gives a tile's gradient with respect to its similarities; used at once.
            wanted: Which of queries, keys and bias need a gradient.
        """
        to_queries = torch.zeros_like(self.queries) if wanted[0] else None
        to_keys = torch.zeros_like(self.columns) if wanted[1] and not self.symmetric else None
        to_bias = torch.zeros_like(self.bias) if self.bias is not None and wanted[2] else None
        below = to_queries if self.symmetric else to_keys

        def products(tile: Tile) -> Additions:
            weight = weigh(tile)
            for_rows: list[tuple[Tensor, Tensor]] = []
            for_keys: list[tuple[Tensor, Tensor]] = []
            if to_queries is not None:
                for_rows.append((to_queries[tile.rows], weight @ self.columns[tile.keys]))
            if below is not None and not tile.diagonal:
                for_keys.append((below[tile.keys], weight.T @ self.queries[tile.rows]))
            if to_bias is not None and to_bias.ndim:
                for_keys.append((to_bias[tile.keys], weight.sum(0)))
            elif of_rows is not None:
                for_rows.append((of_rows[tile.rows.start // self.tile], weight.sum()))
            return adding(for_rows), adding(for_keys)

        # One number is added to by every block of rows: each has its own sum.
        of_rows = None
        if to_bias is not None and not to_bias.ndim:
            of_rows = to_bias.new_zeros(-(-self.shape[0] // self.tile))
        self.add_up(products)
        if of_rows is not None:
            to_bias = of_rows.sum()
        self.computing.add_up(*(g for g in (to_queries, to_keys, to_bias) if g is not None))
        return to_queries, to_keys, to_bias


def adding(terms: list[tuple[Tensor, Tensor]]) -> Addition:
    """Adds to each first tensor the second."""

    def add() -> None:
        for total, added in terms:
            total += added

    return add


def together(additions: list[Addition]) -> Addition:
    """All of them, one after the other."""

    def add() -> None:
        for each in additions:
            each()

    return add
