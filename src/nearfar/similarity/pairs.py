"""Which pairs of a query and a key take part in a sum.

One number a row says what objectives need, without a matrix. Queries and keys whose numbers are
equal can be left out (`apart`) or can be all that takes part (`together`):

- leave out a row itself: `apart` of row numbers;
- leave out a row and its other view: `apart` of example numbers, the same for both views;
- leave out a class: `apart` of labels;
- only a class, without the row itself: `together` of labels and `apart` of row numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

Numbers = tuple[Int[Tensor, " n"], Int[Tensor, " m"]]
MaskTile = Callable[[slice, slice], Bool[Tensor, "rows keys"]]


@dataclass(frozen=True)
class Pairs:
    """The pairs that take part; all of them where every field is None.

    Attributes:
        apart: A number for each query and for each key; equal numbers are left out.
        together: A number for each query and for each key; only equal numbers take part.
        mask: Gives, for a slice of queries and a slice of keys, True where a pair takes part. On a
            CPU it is called from several threads at once.
    """

    apart: Numbers | None = None
    together: Numbers | None = None
    mask: MaskTile | None = None

    @classmethod
    def all_but_own(cls, rows: Tensor) -> "Pairs":
        """All pairs but those of a query with the key of the same place.

        Args:
            rows: As many as there are queries and keys.
        """
        places = torch.arange(rows.shape[0], device=rows.device)
        return cls(apart=(places, places))

    def left_out(
        self, rows: slice, keys: slice, device: torch.device
    ) -> Bool[Tensor, "rows keys"] | None:
        """True where a pair of this tile takes no part; None where all do, as far as is known."""
        out = None
        if self.apart is not None:
            queries, others = self.apart
            out = queries[rows, None] == others[None, keys]
        if self.together is not None:
            queries, others = self.together
            differ = queries[rows, None] != others[None, keys]
            out = differ if out is None else out | differ
        if self.mask is not None:
            masked = ~self.mask(rows, keys).to(device)
            out = masked if out is None else out | masked
        return out

    def touched_tiles(self, tile: int, rows: int, keys: int) -> Bool[Tensor, "row_tiles key_tiles"]:
        """Which tiles may leave a pair out, and so need a mask.

        Where only `apart` is given and its numbers seldom meet (a row and itself), most tiles need
        none; finding out costs one sort of the numbers, not a comparison of all pairs.
        """
        shape = (-(-rows // tile), -(-keys // tile))
        if self.together is not None or self.mask is not None:
            return torch.ones(shape, dtype=torch.bool)
        if self.apart is None:
            return torch.zeros(shape, dtype=torch.bool)
        return _tiles_that_meet(*self.apart, tile)

    def empty_tiles(self, tile: int, rows: int, keys: int) -> Bool[Tensor, "row_tiles key_tiles"]:
        """Tiles in which, as far as one sort tells, no pair takes part: they need no computing.

        Where `together` is given and rows are in the order of its numbers, most tiles are such.
        """
        if self.together is None:
            return torch.zeros((-(-rows // tile), -(-keys // tile)), dtype=torch.bool)
        return ~_tiles_that_meet(*self.together, tile)


def _tiles_that_meet(
    queries: Int[Tensor, " n"], keys: Int[Tensor, " m"], tile: int
) -> Bool[Tensor, "row_tiles key_tiles"]:
    """Which tiles hold a pair of equal numbers; all of them where that is most of them anyway."""
    shape = (-(-queries.shape[0] // tile), -(-keys.shape[0] // tile))
    if shape[0] * shape[1] <= 1:
        return torch.ones(shape, dtype=torch.bool)
    row_numbers, row_tiles = _numbers_by_tile(queries, tile)
    key_numbers, key_tiles = (
        (row_numbers, row_tiles) if keys is queries else _numbers_by_tile(keys, tile)
    )
    first = torch.searchsorted(key_numbers, row_numbers)
    count = torch.searchsorted(key_numbers, row_numbers, right=True) - first
    if int(count.sum()) > 16 * max(len(queries), len(keys)):
        return torch.ones(shape, dtype=torch.bool)
    met = torch.zeros(shape, dtype=torch.bool)
    within = torch.arange(int(count.sum())) - (count.cumsum(0) - count).repeat_interleave(count)
    met[row_tiles.repeat_interleave(count), key_tiles[first.repeat_interleave(count) + within]] = (
        True
    )
    return met


def _numbers_by_tile(
    numbers: Int[Tensor, " n"], tile: int
) -> tuple[Int[Tensor, " found"], Int[Tensor, " found"]]:
    """Each number with each tile that it occurs in, once, ordered by number."""
    # Rows are in the order of their tiles, so that a stable sort puts equal pairs side by side.
    ordered, order = numbers.cpu().sort(stable=True)
    tiles = order // tile
    new = torch.ones(len(ordered), dtype=torch.bool)
    new[1:] = (ordered[1:] != ordered[:-1]) | (tiles[1:] != tiles[:-1])
    return ordered[new], tiles[new]


@dataclass(frozen=True)
class Sums:
    """Which sums are wanted: each row's, over the pairs that take part, and perhaps a second one.

    Attributes:
        pairs: Which pairs take part.
        groups: A number for each query and each key; with them each row gets a second sum, over the
            keys of its own group, which the first then leaves out.
        columns: Each column gets a sum too; not with groups.
    """

    pairs: Pairs
    groups: Numbers | None = None
    columns: bool = False
