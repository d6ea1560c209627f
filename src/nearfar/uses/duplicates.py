"""Copies among examples: the same, or nearly, by the distance of their features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.uses.copy_threshold import Suggestion, suggested_threshold
from nearfar.uses.neighbors import Searchable

FIRST_K = 8
"""Neighbours that are looked at first; rows with more copies are asked again for twice as many."""
MOST_COPIES = 1024
"""Copies of one example, not equal to each other, that are looked for."""
EQUAL = 1e-5
"""1 − cosine of what may be equal: rounding alone gives a tenth of it."""

Kind = Literal["bytes", "values", "near"]
Equal = Callable[[Sequence[int]], Sequence[tuple[int, int, Kind]]]
"""From rows that may be equal to others, pairs of them that are, and why."""


@dataclass(frozen=True)
class Group:
    """Copies of one another.

    Attributes:
        rows: The one that the others are near to, then the others, nearest first.
        distances: Of each from the first, 1 − cosine; 0 of itself.
        kinds: Of each but the first why it is a copy of it: equal bytes, equal values, or near.
    """

    rows: tuple[int, ...]
    distances: tuple[float, ...]
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        groups: The largest first, of two rows or more; no row is in two.
        threshold: Largest distance of a copy.
        suggestion: How the threshold was found; None where it was given.
        nearest: Distance of each row from its nearest other.
        cut: Rows with more copies than were looked for.
    """

    groups: list[Group]
    threshold: float
    suggestion: Suggestion | None
    nearest: Float[Tensor, " n"]
    cut: int

    @property
    def superfluous(self) -> int:
        """Rows that could go: all of each group but one."""
        return sum(len(group.rows) - 1 for group in self.groups)


def find_duplicates(
    features: Float[Tensor, "n dim"],
    *,
    threshold: float | None = None,
    equal: Equal = lambda _: (),
) -> Duplicates:
    """Groups of copies, each within the threshold of one of its own.

    Connected components would chain: in a row of pictures each of which is near to the next, the
    first and the last need have nothing in common. So a group is a star: the row with the most
    copies, and those within the threshold of it; then the same among the rows that are left.

    Args:
        features: One row an example, any scale.
        threshold: Largest 1 − cosine of a copy; None suggests one from the distances
            (`suggested_threshold`).
        equal: Tells which of some rows are equal; such pairs are copies whatever the threshold.

    Raises:
        SettingError: The threshold is not from 0 to 2, or there are fewer than two rows.
        NearfarError: A feature is not finite.
    """
    if threshold is not None and not 0 <= threshold <= 2:
        raise SettingError(f"a threshold of {threshold:g}: 1 − cosine is 0 to 2")
    if len(features) < 2:
        raise SettingError("copies are found among two examples or more")
    units = Searchable(features).units
    # Equal rows are one from here on: a thousand blank pictures would be a million pairs.
    firsts, twin_of = _distinct(units)
    nearest = torch.zeros(len(units))
    pairs = torch.empty(0, 2, dtype=torch.int64)
    cut, suggestion, near, searchable = 0, None, None, Searchable(units[firsts])
    if len(firsts) > 1:
        near = searchable.of_all(FIRST_K)
        alone = torch.bincount(twin_of)[twin_of] == 1
        nearest[alone] = distances_of(near.similarities)[twin_of[alone], 0]
    if threshold is None:
        suggestion = suggested_threshold(nearest)
        threshold = suggestion.threshold
    if near is not None:
        distances = distances_of(near.similarities)
        pairs, cut = _pairs_within(searchable, near.rows, distances, threshold)
    known: dict[tuple[int, int], Kind] = {
        (min(a, b), max(a, b)): kind for a, b, kind in equal(_rows_at_most(nearest, EQUAL))
    }
    groups = _groups(firsts, twin_of, pairs, known, units)
    return Duplicates(groups, threshold, suggestion, nearest, cut)


def distances_of(similarities: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 − cosine, not below 0, which rounding may give."""
    return (1 - similarities).clamp(min=0)


def _rows_at_most(nearest: Float[Tensor, " n"], distance: float) -> list[int]:
    return (nearest <= distance).nonzero().squeeze(1).tolist()


def _distinct(units: Float[Tensor, "n dim"]) -> tuple[Int64[Tensor, " d"], Int64[Tensor, " n"]]:
    """The first of each row that is there, to the bit, and for all rows which of these they are."""
    # −0 and 0 are equal and have other bits.
    held = np.ascontiguousarray((units + 0.0).numpy())
    as_bytes = held.view(np.dtype((np.void, held.shape[1] * held.itemsize))).ravel()
    _, firsts, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return torch.from_numpy(firsts[order]), torch.from_numpy(place[inverse.ravel()])


def _pairs_within(
    searchable: Searchable,
    rows: Int64[Tensor, "n k"],
    distances: Float[Tensor, "n k"],
    threshold: float,
) -> tuple[Int64[Tensor, "pairs 2"], int]:
    """Pairs within the threshold, the smaller row first; and how many rows have too many."""
    pairs = [_pairs(torch.arange(len(rows)), rows, distances, threshold)]
    k, most = rows.shape[1], min(MOST_COPIES, len(searchable) - 1)
    full = (distances[:, -1] <= threshold).nonzero().squeeze(1)
    while len(full) and k < most:
        k = min(2 * k, most)
        found = searchable.nearest(searchable.units[full], k, itself=full)
        more = distances_of(found.similarities)
        pairs.append(_pairs(full, found.rows, more, threshold))
        full = full[more[:, -1] <= threshold]
    cut = len(full) if k < len(searchable) - 1 else 0
    return torch.unique(torch.cat(pairs), dim=0), cut


def _pairs(
    own: Int64[Tensor, " m"],
    rows: Int64[Tensor, "m k"],
    distances: Float[Tensor, "m k"],
    threshold: float,
) -> Int64[Tensor, "pairs 2"]:
    line, column = (distances <= threshold).nonzero(as_tuple=True)
    first, second = own[line], rows[line, column]
    return torch.stack((torch.minimum(first, second), torch.maximum(first, second)), dim=1)


def _groups(
    firsts: Int64[Tensor, " d"],
    twin_of: Int64[Tensor, " n"],
    pairs: Int64[Tensor, "pairs 2"],
    known: dict[tuple[int, int], Kind],
    units: Float[Tensor, "n dim"],
) -> list[Group]:
    """Stars of distinct rows, each row with its twins."""
    beside: dict[int, set[int]] = {}
    places = [(int(twin_of[a]), int(twin_of[b])) for a, b in known]
    for a, b in [*pairs.tolist(), *(pair for pair in places if pair[0] != pair[1])]:
        beside.setdefault(a, set()).add(b)
        beside.setdefault(b, set()).add(a)
    twins: dict[int, list[int]] = {}
    several = torch.bincount(twin_of) > 1
    for row in several[twin_of].nonzero().squeeze(1).tolist():
        twins.setdefault(int(twin_of[row]), []).append(row)
    groups = []
    for star in _stars(beside, twins):
        rows = [row for each in star for row in twins.get(each, [int(firsts[each])])]
        groups.append(_group(rows, known, units))
    return sorted(groups, key=lambda group: (-len(group.rows), group.rows))


def _stars(beside: dict[int, set[int]], twins: dict[int, list[int]]) -> list[list[int]]:
    """In front of each the row that all others of it are beside; rows with twins alone at last."""

    def copies(row: int) -> int:
        beside_it = sum(len(twins.get(other, "1")) for other in beside[row])
        return beside_it + len(twins.get(row, "1")) - 1

    taken: set[int] = set()
    stars = []
    for row in sorted(beside, key=lambda each: (-copies(each), each)):
        others = sorted(beside[row] - taken)
        if row not in taken and others:
            taken |= {row, *others}
            stars.append([row, *others])
    return stars + [[row] for row in twins if row not in taken]


def _group(
    rows: Sequence[int], known: dict[tuple[int, int], Kind], units: Float[Tensor, "n dim"]
) -> Group:
    first, *others = rows
    distances = distances_of(units[others] @ units[first]).tolist()
    order = sorted(range(len(others)), key=lambda place: (distances[place], others[place]))
    others = [others[place] for place in order]
    kinds: tuple[Kind, ...] = tuple(
        known.get((min(first, each), max(first, each)), "near") for each in others
    )
    return Group((first, *others), (0.0, *(distances[place] for place in order)), kinds)
