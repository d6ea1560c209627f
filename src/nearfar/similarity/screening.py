"""The most similar rows of a bank by a first look in few bits, with a bound on what it can miss."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.similarity.largest import GROUP_SIZE, largest, largest_places
from nearfar.similarity.rounded_rows import (
    FLOAT32_ROUNDING,
    Bfloat16Rows,
    FewBits,
    Int8Rows,
)
from nearfar.similarity.threads import on_one_core, results_of

BFLOAT16_ROUNDING = 2.0**-8
"""Largest relative error of rounding to bfloat16 (8 significant bits)."""
FEW, MORE = 4, 8
"""Candidates looked at more closely, times k: first for all queries, then for those in doubt."""
PART = 8192
"""Most rows that share one bound on their error."""
CLOSE_BLOCK = 64
"""Queries whose candidates are looked at together: what is computed then fits the cache."""
SAMPLE = 2048
"""Bank rows in which clusters are looked for."""
CENTRES = 16
SHARE_LEFT = 0.7
"""Clusters pay where they leave at most this share of the rows' variance."""


@dataclass(frozen=True)
class _Part:
    """Rows of one cluster, `row = centre + residual`."""

    columns: slice
    groups: slice
    centre: Float[Tensor, " dim"]
    rounded: Bfloat16Rows | Int8Rows
    longest: float


@dataclass(frozen=True)
class _Look:
    """What a first look at the bank gave for some queries."""

    queries: Float[Tensor, "m dim"]
    floor: Float[Tensor, " m"]
    held: Float[Tensor, "m columns"]
    add: Float[Tensor, "m parts"]
    error: Float[Tensor, "m parts"]

    def at(self, rows: slice | Tensor) -> "_Look":
        """The same for some of the queries."""
        parts = (self.queries, self.floor, self.held, self.add, self.error)
        return _Look(*(part[rows] for part in parts))


class Screen:
    """Rows in few bits, less the centre of their cluster: several times the speed of float32.

    With `q = c + e` and `r = c + f` a similarity is `q·c + (e·f + c·f)`. The first term comes once
    for a query and a cluster, `c·f` once for a row, so that only `e` and `f` are rounded: rows that
    crowd together (as those of a collapsed or of an untrained encoder do) keep their digits for
    what tells them apart. What may be among the best is then compared in float32.

    Args:
        bank: One row each, on the CPU; at least `GROUP_SIZE · MORE` times the k that is asked for.
        few_bits: What the rows are rounded to.
    """

    def __init__(self, bank: Float[Tensor, "n dim"], few_bits: FewBits) -> None:
        self.bank = bank
        rows, first_columns, steps, wheres = [], [], [], []
        column = group = 0
        clusters = list(_clusters(bank))
        for _, members in clusters:
            groups = -(-len(members) // GROUP_SIZE)
            width = groups * GROUP_SIZE
            wheres.append((slice(column, column + width), slice(group, group + groups)))
            rows.append(torch.nn.functional.pad(members, (0, width - len(members)), value=-1))
            first_columns.append(torch.arange(column, column + groups))
            steps.append(torch.full((groups,), groups))
            column, group = column + width, group + groups

        def rounded(number: int) -> _Part:
            centre, members = clusters[number]
            columns, groups = wheres[number]
            residuals = bank[members] - centre
            kind = Bfloat16Rows if few_bits == "bfloat16" else Int8Rows
            offsets = residuals.double() @ centre.double()
            held = kind(residuals, offsets, columns.stop - columns.start)
            longest = float(residuals.norm(dim=1).max())
            return _Part(columns, groups, centre, held, longest)

        self.parts = results_of(len(clusters), rounded, bank.device)
        self.rows = torch.cat(rows)
        self._first_columns, self._steps = torch.cat(first_columns), torch.cat(steps)
        self._part_of_group = torch.cat(
            [torch.full_like(part, number) for number, part in enumerate(first_columns)]
        )

    def search(
        self, queries: Float[Tensor, "m dim"], k: int, floor: Float[Tensor, " m"]
    ) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"], Bool[Tensor, " m"]]:
        """The k most similar rows of the bank, compared in float32.

        Args:
            queries: One row each.
            k: Rows wanted.
            floor: For every query a similarity that only better rows are wanted for; minus
                infinity where there is none.

        Returns:
            Similarities in falling order and rows of the bank, minus infinity where there is
            nothing above the floor; and for which queries no row can be missing.
        """
        look = self._look(queries, floor)
        values = queries.new_empty(len(queries), k)
        indices = torch.empty(len(queries), k, dtype=torch.int64)
        certain = torch.empty(len(queries), dtype=torch.bool)
        for start in range(0, len(queries), CLOSE_BLOCK):
            part = slice(start, start + CLOSE_BLOCK)
            values[part], indices[part], certain[part] = self._best(look.at(part), k)
        return values, indices, certain

    def _look(self, queries: Tensor, floor: Tensor) -> _Look:
        """`e·f + c·f` for all rows, and for all parts `q·c` and a bound on the error."""
        held = torch.empty(len(queries), len(self.rows), dtype=torch.bfloat16)
        add = queries.new_empty(len(queries), len(self.parts))
        error = torch.empty_like(add)
        summing = 2 * queries.shape[1] * FLOAT32_ROUNDING
        for number, part in enumerate(self.parts):
            lost, length = part.rounded.products(queries - part.centre, held[:, part.columns])
            add[:, number] = queries.double() @ part.centre.double()
            # |e·f − ẽ·f̃| ≤ ‖e − ẽ‖‖f‖ + ‖ẽ‖‖f − f̃‖, then summing up in float32.
            error[:, number] = (
                lost * part.longest
                + length * (part.rounded.row_error + summing * part.longest)
                + part.rounded.offset_error
                + add[:, number].abs() * (4 * FLOAT32_ROUNDING)
            )
        return _Look(queries, floor, held, add, error)

    def _best(self, look: _Look, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """`search` after the first look."""
        maxima = torch.empty(len(look.queries), len(self._steps))
        for number, part in enumerate(self.parts):
            within = look.held[:, part.columns].unflatten(1, (GROUP_SIZE, -1)).amax(dim=1)
            reach = look.add[:, [number]] + look.error[:, [number]]
            maxima[:, part.groups] = _upper(within, reach)
        values, indices, certain = self._compare(look, maxima, FEW * k, k)
        doubt = (~certain).nonzero().squeeze(1)
        if len(doubt):
            values[doubt], indices[doubt], certain[doubt] = self._compare(
                look.at(doubt), maxima[doubt], MORE * k, k
            )
        return values, indices, certain

    def _compare(
        self, look: _Look, maxima: Tensor, count: int, k: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compare the rows that can be most similar, at most `count`, in float32."""
        groups = largest_places(maxima, count)
        part = self._part_of_group[groups]
        reach = look.add.gather(1, part) + look.error.gather(1, part)
        steps = torch.arange(GROUP_SIZE) * self._steps[groups].unsqueeze(2)
        columns = (self._first_columns[groups].unsqueeze(2) + steps).flatten(1)
        found = look.held.gather(1, columns).unflatten(1, (count, GROUP_SIZE))
        # In falling order, so that those worth a comparison come first.
        upper, chosen = largest(_upper(found, reach.unsqueeze(2)).flatten(1), count)
        rows = self.rows[columns.gather(1, chosen)]
        values = look.queries.new_full(rows.shape, -torch.inf)
        first = [k] * len(rows)
        self._multiply(look.queries, rows, [0] * len(rows), first, values)
        level = torch.maximum(look.floor, values[:, :k].amin(dim=1))
        worth = (upper >= level.unsqueeze(1)).sum(dim=1).tolist()
        self._multiply(look.queries, rows, first, worth, values)
        values, order = largest(values, k)
        # Whatever is no candidate is at most as similar as the last of them can be.
        certain = torch.maximum(look.floor, values[:, -1]) >= upper[:, -1]
        return values, rows.gather(1, order), certain

    def _multiply(
        self, queries: Tensor, rows: Tensor, start: list[int], stop: list[int], out: Tensor
    ) -> None:
        """Each query with its own rows of the bank, from a column to a column, in float32."""
        # One query at a time: its candidates' rows then fit the cache.
        for query, numbers, line, first, end in zip(queries, rows, out, start, stop, strict=True):
            if first < end:
                candidates = self.bank.index_select(0, numbers[first:end])
                torch.mv(candidates, query, out=line[first:end])


def _upper(held: Tensor, reach: Tensor) -> Tensor:
    """An upper bound on a similarity from its rounded value, which it rises with."""
    held = held.float()
    return held.add_(held.abs().mul_(BFLOAT16_ROUNDING)).add_(reach)


def _clusters(bank: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Centres and numbers of the rows near them, at most `PART` at a time."""
    centres = on_one_core(lambda: _centres(bank), bank.device)
    parts = bank.split(PART)

    def assigned(number: int) -> tuple[Tensor, Tensor]:
        rows = parts[number]
        # ‖r − c‖² = ‖r‖² − 2 (r·c − ‖c‖²/2)
        nearest = (rows @ centres.T - centres.square().sum(dim=1) / 2).argmax(dim=1)
        return nearest, (rows - centres[nearest]).abs().amax(dim=1)

    found = results_of(len(parts), assigned, bank.device)
    nearest = torch.cat([each for each, _ in found])
    # Rows whose rounding is as coarse share a bound: the largest number decides.
    coarseness = torch.cat([each for _, each in found])
    for number, centre in enumerate(centres):
        members = (nearest == number).nonzero().squeeze(1)
        members = members[coarseness[members].argsort()]
        for part in members.split(PART):
            if len(part):
                yield centre, part


def _centres(bank: Tensor) -> Tensor:
    """Centres of clusters where there are any, else the mean."""
    sample = bank[torch.linspace(0, len(bank) - 1, min(SAMPLE, len(bank))).long()]
    mean = bank.mean(dim=0, keepdim=True)
    distances = (sample - mean).square().sum(dim=1)
    variance = distances.mean()
    chosen = []
    # Whatever is farthest from the centres so far: no tight cluster is left without one.
    for _ in range(CENTRES):
        chosen.append(sample[distances.argmax()])
        distances = torch.minimum(distances, (sample - chosen[-1]).square().sum(dim=1))
    centres = torch.stack(chosen)
    for _ in range(3):
        nearest = torch.cdist(sample, centres).argmin(dim=1)
        members = torch.nn.functional.one_hot(nearest, CENTRES).to(sample.dtype)
        counts = members.sum(dim=0).unsqueeze(1)
        centres = torch.where(counts > 0, members.T @ sample / counts.clamp(min=1), centres)
    left = torch.cdist(sample, centres).amin(dim=1).square().mean()
    return centres if left < SHARE_LEFT * variance else mean
