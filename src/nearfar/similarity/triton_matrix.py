"""A matrix of similarities as the GPU kernels see it: operands, launches, and parts added up.

Nothing depends on the order in which programs run: parts are written side by side and then added
up, so that the same call on the same device gives the same bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.similarity import triton_kernels as kernels
from nearfar.similarity.computing import Computing
from nearfar.similarity.pairs import Sums
from nearfar.similarity.triton_kernels import SideNumbers
from nearfar.similarity.triton_plan import Cut, Plan

_LOG2_E = 1.4426950408889634
# Largest spread of exponents for which one shift serves all rows: beyond it the smallest
# exponentials would sink into denormal numbers.
_ONE_SHIFT = 80.0


@dataclass(frozen=True)
class Facts:
    """What the forward pass learns about a matrix and the backward pass uses again.

    Attributes:
        shift: In base 2; no exponent exceeds it and none falls far below. None where each row needs
            its own.
        queries: The queries' numbers.
        keys: The keys' numbers and bias.
    """

    shift: float | None
    queries: SideNumbers
    keys: SideNumbers


def learn_facts(queries: Tensor, keys: Tensor, bias: Tensor | None, sums: Sums) -> Facts:
    """The facts of a matrix; waits once for the device."""
    numbers = [sums.pairs.apart, sums.pairs.together, sums.groups]
    integers = [x for pair in numbers if pair is not None for x in pair]
    found = _extremes(queries.norm(dim=1), keys.norm(dim=1), bias, *integers)
    (_, long), (_, longest), (low, high), *ranges = found
    reach = long * longest
    shift = None
    if 2 * reach + high - low <= _ONE_SHIFT:  # Cauchy and Schwarz bound similarities by the norms.
        shift = (reach + high) * _LOG2_E
    limits = torch.iinfo(torch.int32)
    short = all(limits.min <= low and high <= limits.max for low, high in ranges)
    kind = torch.int32 if short else torch.int64

    def side(which: int, bias: Tensor | None) -> SideNumbers:
        vectors = [
            None if pair is None else pair[which].to(queries.device, kind).contiguous()
            for pair in numbers
        ]
        return SideNumbers(*vectors, bias=None if bias is None else bias.contiguous())

    return Facts(shift, side(0, None), side(1, bias))


def _extremes(*vectors: Tensor | None) -> list[tuple[float, float]]:
    """Least and largest of each vector, 0 of one that is empty or not there."""
    there = [x for x in vectors if x is not None and len(x)]
    ends = [end.double() for x in there for end in torch.aminmax(x)]
    found = iter(torch.stack(ends).tolist()) if ends else iter(())
    return [(next(found), next(found)) if x is not None and len(x) else (0.0, 0.0) for x in vectors]


@dataclass
class KernelMatrix:
    """Similarities of queries and keys, both as `Plan.operand` gives them; log-sum-exps in base 2.

    Attributes:
        queries: One row each.
        keys: One column each; None where the matrix is symmetric.
        facts: What `learn_facts` found.
        computing: Who shares the rows.
        plan: How to cut.
    """

    queries: Tensor
    keys: Tensor | None
    facts: Facts
    computing: Computing
    plan: Plan

    def __post_init__(self) -> None:
        self.columns = self.queries if self.keys is None else self.keys
        self.sums = 1 if self.facts.queries.group is None else 2

    def logsumexps(self, *, columns: bool) -> tuple[Float[Tensor, "sums n"], Tensor | None]:
        """Rows' log-sum-exps, others' and own groups'; and columns' if they are wanted.

        Minus infinity where nothing takes part.
        """
        cut, symmetric = self.plan.value, self.keys is None
        rows, keys = len(self.queries), len(self.columns)
        blocks = self._blocks_of_rank(rows, cut)
        slab = len(blocks)
        nothing = -torch.inf if self.facts.shift is None else 0.0
        by_column = None
        if columns or symmetric:
            slab = min(slab, max(self.plan.column_parts // (self.sums * max(keys, 1)), 1))
            by_column = self.queries.new_full((self.sums, keys), -torch.inf, dtype=torch.float32)
        splits, keys_of_split = self.plan.splits(slab, keys, cut)
        parts = self.queries.new_full((self.sums, splits, rows), nothing, dtype=torch.float32)
        for some in _batches(blocks, slab):
            column_parts = None
            if by_column is not None:
                column_parts = by_column.new_full((self.sums, len(some), keys), nothing)
            _launch(
                kernels.logsumexp_kernel, (len(some), splits), cut,
                self.queries, self.columns, self.facts.queries, self.facts.keys,
                parts, column_parts, rows, keys, self.facts.shift or 0.0,
                some[0], some.step, keys_of_split,
                **self._settings(cut), BLOCK_DIM=self._block_dim(), HALF=symmetric,
                ONE_SHIFT=self.facts.shift is not None,
            )  # fmt: skip
            if by_column is not None and column_parts is not None:
                by_column = torch.logaddexp2(by_column, self._log2_of_whole(column_parts))
        by_row = self._log2_of_whole(parts)
        if symmetric and by_column is not None:
            by_row, by_column = torch.logaddexp2(by_row, by_column), None
        found = by_row if by_column is None else torch.cat((by_row, by_column), dim=1)
        found = self._over_ranks(found) + (self.facts.shift or 0.0)
        return found[:, :rows], None if by_column is None else found[:, rows:]

    def _log2_of_whole(
        self, parts: Float[Tensor, "sums parts count"]
    ) -> Float[Tensor, "sums count"]:
        """Base-2 log-sum-exps less the shift, from a kernel's parts, which it overwrites."""
        if self.facts.shift is not None:
            return parts.sum(dim=1).log2_()
        highest = parts.amax(dim=1, keepdim=True)
        highest.masked_fill_(highest == -torch.inf, 0.0)
        return parts.sub_(highest).exp2_().sum(dim=1).log2_().add_(highest.squeeze(1))

    def _over_ranks(self, found: Tensor) -> Tensor:
        """The log-sum-exps of all ranks' shares."""
        if self.computing.group is None:
            return found
        highest = found.clone()
        self.computing.take_largest(highest)
        highest.masked_fill_(highest == -torch.inf, 0.0)
        total = (found - highest).exp2_()
        self.computing.add_up(total)
        return total.log2_() + highest

    def gradients(
        self, of_rows: "Shares", of_columns: "Shares", wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients to queries, keys and bias.

        Args:
            of_rows: For each sum over a row, its gradient and its value.
            of_columns: Likewise for columns, or None; of a symmetric matrix the rows' again.
            wanted: Which of queries, keys and bias need a gradient.
        """
        queries = self._with_shares(self.facts.queries, of_rows)
        keys = self._with_shares(self.facts.keys, of_columns)
        if self.plan.held:
            found = self._gradients_by_rows(queries, keys, wanted)
        else:
            found = self._gradients_by_slabs(queries, keys, wanted)
        self.computing.add_up(*(x for x in found if x is not None))
        return found

    def _with_shares(self, side: SideNumbers, shares: "Shares") -> SideNumbers:
        """A side with what turns its exponents into weights."""
        if shares is None:
            return side
        by, logsumexp = shares
        # A row in which nothing takes part has no gradient.
        empty = logsumexp == -torch.inf
        by, logsumexp = by.masked_fill(empty, 0.0), logsumexp.masked_fill(empty, 0.0)
        if self.facts.shift is None:
            return side._replace(by=by.contiguous(), logsumexp=logsumexp)
        factor = (by * (self.facts.shift - logsumexp).exp2()).masked_fill(empty, 0.0)
        return side._replace(by=factor)

    def _gradients_by_rows(
        self, queries: SideNumbers, keys: SideNumbers, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """One pass for the queries; another, with the roles exchanged, for keys and bias."""
        to_queries = to_keys = to_bias = None
        if wanted[0]:
            to_queries, _ = self._to_rows(self.queries, self.columns, queries, keys)
        if self.keys is not None and (wanted[1] or wanted[2]):
            to_keys, to_bias = self._to_rows(self.keys, self.queries, keys, queries)
        return to_queries, to_keys if wanted[1] else None, to_bias if wanted[2] else None

    def _to_rows(
        self, rows: Tensor, keys: Tensor, row_side: SideNumbers, key_side: SideNumbers
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients to this rank's rows and their bias; 0 for other ranks' rows."""
        cut = self.plan.gradient
        blocks = self._blocks_of_rank(len(rows), cut)
        splits, keys_of_split = self.plan.splits(len(blocks), len(keys), cut)
        parts = rows.new_zeros((splits, *rows.shape), dtype=torch.float32)
        bias_parts = None if row_side.bias is None else parts.new_zeros(parts.shape[:2])
        if len(blocks):
            _launch(
                kernels.gradient_kernel, (len(blocks), splits), cut,
                rows, keys, row_side, key_side, parts, bias_parts, len(rows), len(keys),
                self.facts.shift or 0.0, blocks.start, blocks.step, keys_of_split,
                **self._settings(cut),
            )  # fmt: skip
        gradient = parts[0] if splits == 1 else parts.sum(0)
        return gradient, None if bias_parts is None else bias_parts.sum(0)

    def _gradients_by_slabs(
        self, queries: SideNumbers, keys: SideNumbers, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Slabs of weights pass through memory, so that each is computed once for both sides."""
        to_queries = torch.zeros_like(self.queries, dtype=torch.float32) if wanted[0] else None
        to_keys = None
        if self.keys is not None and wanted[1]:
            to_keys = torch.zeros_like(self.keys, dtype=torch.float32)
        to_bias = torch.zeros_like(keys.bias) if keys.bias is not None and wanted[2] else None
        below = to_queries if self.keys is None else to_keys
        with _library_products(self.plan):
            for rows, columns, weights in self._slabs(queries, keys):
                if to_queries is not None:
                    _add_product(to_queries[rows], weights, self.columns[columns])
                if below is not None and not (self.keys is None and rows == columns):
                    _add_product(below[columns], weights.T, self.queries[rows])
                if to_bias is not None:
                    to_bias[columns] += weights.sum(0, dtype=torch.float32)
        return to_queries, to_keys, to_bias

    def _slabs(
        self, queries: SideNumbers, keys: SideNumbers
    ) -> Iterator[tuple[slice, slice, Tensor]]:
        """This rank's slabs of weights, each in a buffer that the next one reuses."""
        cut, slab = self.plan.gradient, self.plan.slab
        rows, columns = len(self.queries), len(self.columns)
        buffer = self.queries.new_empty((min(slab, rows), min(slab, columns)))
        places = [
            (row, column)
            for row in range(0, rows, slab)
            for column in range(row if self.keys is None else 0, columns, slab)
        ]
        for row, column in places[self.computing.rank :: self.computing.ranks]:
            height, width = min(slab, rows - row), min(slab, columns - column)
            _launch(
                kernels.weights_kernel, (-(-height // cut.rows), -(-width // cut.keys)), cut,
                self.queries, self.columns, queries, keys, buffer, rows, columns,
                self.facts.shift or 0.0, row, column, buffer.stride(0),
                **self._settings(cut), BLOCK_DIM=self.plan.dim,
            )  # fmt: skip
            yield (
                slice(row, row + height),
                slice(column, column + width),
                buffer[:height, :width],
            )

    def _blocks_of_rank(self, rows: int, cut: Cut) -> range:
        return range(self.computing.rank, -(-rows // cut.rows), self.computing.ranks)

    def _block_dim(self) -> int:
        """Columns that a product takes at a time."""
        return self.queries.shape[1] if self.plan.held else self.plan.dim

    def _settings(self, cut: Cut) -> dict[str, Any]:
        """What every kernel is compiled for."""
        return {
            "DIM": self.queries.shape[1],
            "ROWS": cut.rows,
            "KEYS": cut.keys,
            "PRECISION": self.plan.precision,
            "WIDEN": self.queries.dtype == torch.bfloat16 and kernels.INTERPRETED,
        }


Shares = tuple[Float[Tensor, "sums count"], Float[Tensor, "sums count"]] | None


def _launch(
    kernel: Any, grid: tuple[int, int], cut: Cut, *arguments: Any, **constants: Any
) -> None:
    with torch.cuda.device_of(arguments[0]):
        # Triton is about to change its default for fused multiply-adds.
        kernel[grid](
            *arguments, **constants, num_warps=cut.warps, num_stages=cut.stages,
            enable_fp_fusion=True,
        )  # fmt: skip


def _batches(blocks: range, size: int) -> Iterator[range]:
    for first in range(0, len(blocks), max(size, 1)):
        yield blocks[first : first + size]


def _add_product(to: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a matrix product to a float32 matrix."""
    if left.is_cuda and left.dtype == torch.bfloat16:
        to += torch.mm(left, right, out_dtype=torch.float32)  # pyright: ignore[reportCallIssue]
    else:
        to.addmm_(left.float(), right.float())


@contextmanager
def _library_products(plan: Plan) -> Iterator[None]:
    """Torch multiplies float32 matrices on the GPU as planned."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32" if plan.products == "tf32" else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before
