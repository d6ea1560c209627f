"""The most and the least similar key of every row, without holding the similarities.

For mining: the hardest positive is the least similar key of a row's own class, the hardest negative
the most similar one of another class, and the nearest neighbour the most similar of all. Rows of
unit length are as near as they are similar: ‖a − b‖² = 2 − 2 a·b.
"""

import threading
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from nearfar.similarity import tiles
from nearfar.similarity.computing import Computing
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.threads import results_of
from nearfar.similarity.tiles import Tile, TiledMatrix
from nearfar.similarity.transformable import chosen

DEVICE_TILE = 4096
"""Rows and columns of a tile beside a CPU: 64 MiB, so that few operations have to be started."""
SORTED = 2**21
"""Similarities that `semi_hard` sorts at once: 8 MiB in float32, and twice that of indices."""

_EVERYTHING = Pairs()


def hardest(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    *,
    pairs: Pairs = _EVERYTHING,
    largest: bool,
) -> tuple[Float[Tensor, " n"], Int64[Tensor, " n"]]:
    """For every query, the most or the least similar of the keys that take part.

    Exact, in memory that grows with the rows. The indices choose rows to compare; the values carry
    no gradient.

    Args:
        queries: One row each, of any float type; not normalised here.
        keys: Likewise. Pass the very same tensor where every row is compared with every other:
            half of the products then suffice.
        pairs: Which pairs take part; where `keys is queries`, they must be symmetric too.
        largest: Whether the most similar key is wanted, or the least similar.

    Returns:
        Dot products, in float32 or in float64 where the queries are, and rows of `keys`: the
        lowest of equally similar ones. Where no key takes part, index −1 and minus infinity, or
        infinity for the least similar. NaN, at the first key that gives it, where an embedding is
        not a number.
    """
    return chosen(
        partial(_hardest, pairs=pairs, largest=largest),
        queries,
        None if keys is queries else keys,
    )


def _hardest(
    queries: Tensor, keys: Tensor | None, *, pairs: Pairs, largest: bool
) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(queries.dtype, torch.float32)
    sides = tiles.TILE if queries.device.type == "cpu" else DEVICE_TILE
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys = queries.to(wide), None if keys is None else keys.to(wide)
        matrix = TiledMatrix(queries, keys, None, pairs, None, Computing(), sides=sides)
        best = _Extremes(queries, largest=largest)

        def compare(tile: Tile) -> None:
            held = matrix.similarities(tile)
            matrix.drop(held, tile, best.nothing)
            best.add(tile.rows, held, tile.keys.start)
            if matrix.symmetric and not tile.diagonal:
                best.add(tile.keys, held.T, tile.rows.start)

        matrix.for_each(compare)
    return best.values, best.indices


def semi_hard(
    rows: Float[Tensor, "n dim"], labels: Int[Tensor, " n"]
) -> tuple[Int64[Tensor, " t"], Int64[Tensor, " t"], Int64[Tensor, " t"]]:
    """For every anchor and positive, the nearest negative that is farther than the positive.

    Semi-hard mining (Schroff et al. 2015, section 3.2) of the whole batch: all ordered pairs of
    rows of one label, and for each the row of another label that is most similar to the anchor
    among those strictly less similar than the positive; where all are nearer than the positive,
    the least similar. A loss gathers its three rows by these indices. Memory grows with the rows
    and with the pairs of equal label.

    Args:
        rows: Of unit length, where nearness is to mean distance; of any float type.
        labels: A class for each row.

    Returns:
        Rows' numbers: anchors, positives and negatives, sorted by anchor, then by positive. A
        negative of −1 where every row has the anchor's label. Among equally similar negatives any
        one, the same in every call.
    """
    return chosen(partial(_semi_hard, labels=labels), rows)


def _semi_hard(rows: Tensor, *, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    with torch.autocast(rows.device.type, enabled=False):
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        block = max(1, SORTED // max(1, len(rows)))
        starts = range(0, len(rows), block)

        def of_block(number: int) -> tuple[Tensor, Tensor, Tensor]:
            anchors = slice(starts[number], min(starts[number] + block, len(rows)))
            return _semi_hard_of(anchors, rows, labels)

        found = results_of(len(starts), of_block, rows.device)
    if not found:
        none = torch.empty(0, dtype=torch.int64, device=rows.device)
        return none, none, none
    anchors, positives, negatives = zip(*found, strict=True)
    return torch.cat(anchors), torch.cat(positives), torch.cat(negatives)


class _Extremes:
    """The best similarity of every row so far, and its key; threads may add at once."""

    def __init__(self, like: Tensor, *, largest: bool) -> None:
        self.nothing = -torch.inf if largest else torch.inf
        count = like.shape[:1]
        self.values = like.new_full(count, self.nothing)
        self.indices = torch.full(count, -1, dtype=torch.int64, device=like.device)
        self._largest = largest
        self._better = torch.gt if largest else torch.lt
        self._lock = threading.Lock()

    def add(self, where: slice, held: Tensor, first_key: int) -> None:
        """Take in a tile whose first key is given; tiles may come in any order."""
        # An extreme without its place is ten times cheaper, and few tiles hold a new best.
        best = held.amax(dim=1) if self._largest else held.amin(dim=1)
        with self._lock:
            before = self.values[where].clone()
        perhaps = ~self._better(before, best) & (best != self.nothing)
        rows = perhaps.nonzero().squeeze(1)
        chosen = held.index_select(0, rows)
        values, places = chosen.max(dim=1) if self._largest else chosen.min(dim=1)
        self._take(where.start + rows, values, places + first_key)

    def _take(self, rows: Tensor, values: Tensor, keys: Tensor) -> None:
        """Keep what is better, and of equals the lowest key."""
        with self._lock:
            before = self.values[rows]
            no_number = values.isnan() & before.isnan()
            better = self._better(values, before) | (values.isnan() & ~no_number)
            equal = (values == before) | no_number
            better |= equal & (keys < self.indices[rows])
            rows = rows[better]
            self.values[rows], self.indices[rows] = values[better], keys[better]


def _semi_hard_of(block: slice, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`semi_hard` for a block of anchors."""
    similarities = rows[block] @ rows.T
    same = labels[block, None] == labels
    paired = same.clone()
    paired.diagonal(offset=block.start).fill_(False)
    anchors, positives = paired.nonzero(as_tuple=True)
    nearness = similarities[anchors, positives]
    # What is no negative goes to the front, below every similarity.
    ordered, order = _sorted(similarities.masked_fill_(same, -torch.inf))
    # One line an anchor, as wide as the most positives, for a search of all lines at once.
    counts = paired.sum(dim=1)
    slots = torch.arange(len(anchors), device=rows.device)
    slots -= (counts.cumsum(0) - counts).repeat_interleave(counts)
    lines = nearness.new_zeros(len(counts), int(counts.max()))
    lines[anchors, slots] = nearness
    places = torch.searchsorted(ordered, lines)[anchors, slots] - 1
    lowest = counts[anchors] + 1
    places = torch.maximum(places, lowest)
    none = places >= len(rows)
    negatives = order[anchors, places.clamp_(max=len(rows) - 1)].masked_fill_(none, -1)
    return anchors + block.start, positives, negatives


def _sorted(values: Float[Tensor, "n m"]) -> tuple[Float[Tensor, "n m"], Int64[Tensor, "n m"]]:
    """Every row in rising order, and the columns that its values come from."""
    if values.device.type != "cpu":
        return values.sort(dim=1)
    # NumPy sorts with vector instructions, six times faster than torch on a CPU.
    order = torch.from_numpy(np.argsort(values.numpy(), axis=1))
    return values.gather(1, order), order
