"""The most similar rows of a bank by a first look in bfloat16, with a bound on what it can miss."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.similarity.largest import GROUP, kth_largest, largest, largest_places

BFLOAT16_ROUNDING = 2.0**-8
"""Largest relative error of rounding to bfloat16 (8 significant bits)."""
FLOAT32_ROUNDING = 2.0**-24
FEW, MORE = 2, 8
"""Candidates looked at more closely, times k: first for all queries, then for those in doubt."""
CLOSE_BLOCK = 64
"""Queries whose candidates are looked at together: what is computed then fits the cache."""
SAMPLE = 2048
"""Bank rows in which clusters are looked for."""
CENTRES = 16
SHARE_LEFT = 0.7
"""Clusters pay where they leave at most this share of the rows' variance."""
ABSENT = -3e38
"""What stands for the similarity of a row that only fills up a cluster's last group."""


@dataclass(frozen=True)
class _Cluster:
    """Rows near one centre, `row = centre + residual`, in bfloat16."""

    columns: slice
    groups: slice
    centre: Float[Tensor, " dim"]
    residuals: Float[Tensor, "width dim_and_2"]
    longest: float
    row_error: float
    offset_error: float


@dataclass(frozen=True)
class _Look:
    """What a first look at the bank gave for some queries."""

    queries: Float[Tensor, "m dim"]
    floor: Float[Tensor, " m"]
    held: Float[Tensor, "m columns"]
    add: Float[Tensor, "m clusters"]
    error: Float[Tensor, "m clusters"]

    def at(self, rows: slice | Tensor) -> "_Look":
        """The same for some of the queries."""
        parts = (self.queries, self.floor, self.held, self.add, self.error)
        return _Look(*(part[rows] for part in parts))


class Screen:
    """Rows in bfloat16, less the centre of their cluster: several times the speed of float32.

    With `q = c + e` and `r = c + f` a similarity is `q·c + (e·f + c·f)`. The first term comes once
    for a query and a cluster, `c·f` once for a row, so that only `e` and `f` are rounded: rows that
    crowd together (as those of a collapsed or of an untrained encoder do) keep their digits for
    what tells them apart. What may be among the best is then compared in float32.

    Args:
        bank: One row each, on the CPU; at least `GROUP · MORE` times the k that is asked for.
    """

    def __init__(self, bank: Float[Tensor, "n dim"]) -> None:
        self.bank = bank
        centres = _centres(bank)
        # ‖r − c‖² = ‖r‖² − 2 (r·c − ‖c‖²/2)
        nearest = (bank @ centres.T - centres.square().sum(dim=1) / 2).argmax(dim=1)
        self.clusters: list[_Cluster] = []
        rows, first_columns, steps = [], [], []
        column = group = 0
        for number, centre in enumerate(centres):
            members = (nearest == number).nonzero().squeeze(1)
            if not len(members):
                continue
            groups = -(-len(members) // GROUP)
            columns = slice(column, column + groups * GROUP)
            where = slice(group, group + groups)
            self.clusters.append(_cluster(bank[members], centre, columns, where))
            filling = groups * GROUP - len(members)
            rows.append(torch.nn.functional.pad(members, (0, filling), value=-1))
            first_columns.append(torch.arange(column, column + groups))
            steps.append(torch.full((groups,), groups))
            column, group = columns.stop, where.stop
        self.rows = torch.cat(rows)
        self._first_columns, self._steps = torch.cat(first_columns), torch.cat(steps)
        self._cluster_of_group = torch.cat(
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
        """`e·f + c·f` for all rows, and for all clusters `q·c` and a bound on the error."""
        held = torch.empty(len(queries), len(self.rows), dtype=torch.bfloat16)
        add = queries.new_empty(len(queries), len(self.clusters))
        error = torch.empty_like(add)
        dim = queries.shape[1]
        rounded = torch.ones(len(queries), dim + 2, dtype=torch.bfloat16)
        for number, cluster in enumerate(self.clusters):
            less = queries - cluster.centre
            rounded[:, :dim] = less
            torch.mm(rounded, cluster.residuals.T, out=held[:, cluster.columns])
            add[:, number] = queries.double() @ cluster.centre.double()
            # |e·f − ẽ·f̃| ≤ ‖e − ẽ‖‖f‖ + ‖ẽ‖‖f − f̃‖, then summing up in float32.
            kept = rounded[:, :dim].float()
            length = kept.norm(dim=1)
            error[:, number] = (
                less.sub_(kept).norm(dim=1) * cluster.longest
                + length * cluster.row_error
                + length * (cluster.longest * 2 * dim * FLOAT32_ROUNDING)
                + cluster.offset_error
                + add[:, number].abs() * (4 * FLOAT32_ROUNDING)
            )
        return _Look(queries, floor, held, add, error)

    def _best(self, look: _Look, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """`search` after the first look."""
        maxima = torch.empty(len(look.queries), len(self._steps))
        for number, cluster in enumerate(self.clusters):
            within = look.held[:, cluster.columns].unflatten(1, (GROUP, -1)).amax(dim=1)
            reach = look.add[:, [number]] + look.error[:, [number]]
            maxima[:, cluster.groups] = _upper(within, reach)
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
        clusters = self._cluster_of_group[groups]
        error = look.error.gather(1, clusters)
        reach = look.add.gather(1, clusters) + error
        steps = torch.arange(GROUP) * self._steps[groups].unsqueeze(2)
        columns = (self._first_columns[groups].unsqueeze(2) + steps).flatten(1)
        found = look.held.gather(1, columns)
        upper = _upper(found.unflatten(1, (count, GROUP)), reach.unsqueeze(2)).flatten(1)
        # In falling order, so that those worth a comparison come first.
        upper, chosen = largest(upper, count)
        off = error.gather(1, chosen // GROUP)
        off += found.gather(1, chosen).float().abs_().mul_(BFLOAT16_ROUNDING)
        lower = upper - 2 * off
        level = torch.maximum(look.floor, kth_largest(lower, k))
        worth = (upper >= level.unsqueeze(1)).sum(dim=1)
        rows = self.rows[columns.gather(1, chosen)]
        values = look.queries.new_full(rows.shape, -torch.inf)
        # One query at a time: its candidates' rows then fit the cache.
        for line, numbers, many, query in zip(
            values, rows, worth.tolist(), look.queries, strict=True
        ):
            torch.mv(self.bank.index_select(0, numbers[:many]), query, out=line[:many])
        values, order = largest(values, k)
        # Whatever is no candidate is at most as similar as the last of them can be.
        certain = torch.maximum(look.floor, values[:, -1]) >= upper[:, -1]
        return values, rows.gather(1, order), certain


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware.

    Args:
        device: A GPU is fast enough in float32 and answers no.
    """
    if device.type != "cpu":
        return False
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def _upper(held: Tensor, reach: Tensor) -> Tensor:
    """What a similarity is at most; rises with what is held."""
    held = held.float()
    return held.add_(held.abs().mul_(BFLOAT16_ROUNDING)).add_(reach)


def _cluster(rows: Tensor, centre: Tensor, columns: slice, groups: slice) -> _Cluster:
    """Round a cluster's residuals; `c·f` goes into two more columns, for which queries hold 1."""
    residuals = rows - centre
    width, dim = columns.stop - columns.start, rows.shape[1]
    rounded = torch.zeros(width, dim + 2, dtype=torch.bfloat16)
    rounded[: len(rows), :dim] = residuals
    offsets = residuals.double() @ centre.double()
    rounded[: len(rows), dim] = offsets
    rounded[: len(rows), dim + 1] = offsets - rounded[: len(rows), dim].double()
    rounded[len(rows) :, dim] = ABSENT
    lost = offsets - rounded[: len(rows), dim:].double().sum(dim=1)
    summing = 2 * dim * FLOAT32_ROUNDING * offsets.abs().max()
    return _Cluster(
        columns,
        groups,
        centre,
        rounded,
        longest=float(residuals.norm(dim=1).max()),
        row_error=float((residuals - rounded[: len(rows), :dim].float()).norm(dim=1).max()),
        offset_error=float(lost.abs().max() + summing),
    )


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
