"""The k most similar rows of a bank for every query, exactly, streaming over the bank."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.similarity.largest import largest
from nearfar.similarity.rounded_rows import FewBits, fast_few_bits
from nearfar.similarity.screening import GROUP_SIZE, MORE, Screen
from nearfar.similarity.threads import for_each, on_one_core

QUERY_BLOCK = 256
# Queries that tell, where there are many blocks, whether a first look in few bits serves.
PROBE, PROBE_FROM = 32, 4
# A block of similarities takes 28 MiB, whatever the bank's size, in float32 and in bfloat16. The C
# library keeps blocks below 32 MiB for reuse; larger ones come from the system, page by page, anew.
BANK_BLOCK = 28672
SCREENED_BANK_BLOCK = 57344
# Bank rows multiplied at once in float32: so many stay in a core's cache.
PRODUCT_BLOCK = 1024
# A first look in few bits pays where a block of the bank is at least so many times larger than k.
SCREEN_FROM = GROUP_SIZE * MORE


class Bank:
    """Rows to search for those with the largest dot products with a query.

    Exact in float32. Memory is that of the rows; a half or a quarter as much again, in bfloat16 or
    in 8 bits, where the processor is fast at that and a first look goes through such a copy; and a
    block of 30 MiB for each thread.

    Args:
        rows: Float32; not normalised here. On any device.

    Raises:
        SettingError: If there are no rows.
    """

    def __init__(self, rows: Float[Tensor, "n dim"]) -> None:
        if len(rows) == 0:
            raise SettingError("the bank is empty: give it at least one row")
        self.rows = rows
        self._screens: dict[tuple[int, FewBits], Screen] = {}

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    @torch.no_grad()
    def top_k(
        self, queries: Float[Tensor, "m dim"], k: int
    ) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
        """The k most similar rows of every query, most similar first.

        Args:
            queries: Float32, on the bank's device; all finite.
            k: Rows wanted; clipped to the size of the bank.

        Returns:
            Dot products and numbers of rows, `min(k, len(bank))` columns each.

        Raises:
            SettingError: If k is below 1.
        """
        if k < 1:
            raise SettingError(f"top-k with k={k}: k must be 1 or more")
        k = min(k, len(self))
        few_bits = self._few_bits_for(queries, k)
        similarities = queries.new_empty(len(queries), k)
        indices = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
        blocks = _even_blocks(len(queries), QUERY_BLOCK)

        def search(number: int) -> None:
            rows = blocks[number]
            block = queries[rows]
            if few_bits is None:
                similarities[rows], indices[rows] = self._search(block, k)
                return
            similarities[rows], indices[rows], certain = self._screened_search(block, k, few_bits)
            unsure = (~certain).nonzero().squeeze(1)
            if len(unsure):
                where = rows.start + unsure
                similarities[where], indices[where] = self._search(block[unsure], k)

        for_each(len(blocks), search, queries.device)
        return similarities, indices

    def _few_bits_for(self, queries: Tensor, k: int) -> FewBits | None:
        """The few bits for these queries' first look; None where they have none."""
        smallest = self._blocks(SCREENED_BANK_BLOCK)[-1]
        few_bits = fast_few_bits(queries.device)
        if smallest.stop - smallest.start < SCREEN_FROM * k:
            few_bits = None
        if few_bits is None or not len(queries):
            return None
        for rows in self._blocks(SCREENED_BANK_BLOCK):
            if (rows.start, few_bits) not in self._screens:
                self._screens[rows.start, few_bits] = Screen(self.rows[rows], few_bits)
        if len(queries) > PROBE_FROM * QUERY_BLOCK:
            # Where the bank crowds so closely that few bits cannot tell, they only cost.
            some = queries[torch.linspace(0, len(queries) - 1, PROBE).long()]
            _, _, certain = on_one_core(
                lambda: self._screened_search(some, k, few_bits), queries.device
            )
            if 2 * int(certain.sum()) < PROBE:
                return None
        return few_bits

    def _blocks(self, most: int) -> list[slice]:
        return _even_blocks(len(self), most)

    def _search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Stream over the bank in float32, keeping the k best so far."""
        best = _Best(queries, k)
        for rows in self._blocks(BANK_BLOCK):
            bank = self.rows[rows]
            block = queries.new_empty(len(queries), len(bank))
            for first in range(0, len(bank), PRODUCT_BLOCK):
                part = slice(first, first + PRODUCT_BLOCK)
                torch.mm(queries, bank[part].T, out=block[:, part])
            values, columns = largest(block, min(k, len(bank)))
            best.add(values, columns + rows.start)
        return best.values, best.indices

    def _screened_search(
        self, queries: Tensor, k: int, few_bits: FewBits
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same with a first look in few bits; and for which queries none can be missing."""
        best = _Best(queries, k)
        certain = torch.ones(len(queries), dtype=torch.bool)
        for rows in self._blocks(SCREENED_BANK_BLOCK):
            screen = self._screens[rows.start, few_bits]
            values, indices, sure = screen.search(queries, k, best.values[:, -1])
            best.add(values, indices + rows.start)
            certain &= sure
        return best.values, best.indices, certain


def _even_blocks(count: int, most: int) -> list[slice]:
    """0 … count in blocks of at most so many, all of about one size."""
    if not count:
        return []
    size = -(-count // -(-count // most))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


class _Best:
    """The k largest values seen so far, in falling order, and where they were."""

    def __init__(self, queries: Tensor, k: int) -> None:
        self.values = queries.new_full((len(queries), k), -torch.inf)
        self.indices = torch.zeros(len(queries), k, dtype=torch.int64, device=queries.device)

    def add(self, values: Tensor, indices: Tensor) -> None:
        """Merge another block's values into the best."""
        k = self.values.shape[1]
        if values.shape[1] == k and (self.values == -torch.inf).all():
            self.values, self.indices = values, indices
            return
        self.values, chosen = torch.cat([self.values, values], dim=1).topk(k, dim=1)
        self.indices = torch.cat([self.indices, indices], dim=1).gather(1, chosen)
