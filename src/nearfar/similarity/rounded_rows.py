"""Rows in few bits, for products with them at several times the speed of float32.

A row is held less a centre, `row = c + f`. A query comes less the same centre, `e`, and is rounded
like the rows. What is rounded, and by how much, is measured: it bounds the error of the products.
"""

from typing import Literal

import torch
from jaxtyping import BFloat16, Float
from torch import Tensor

FLOAT32_ROUNDING = 2.0**-24
ABSENT = -3e38
"""What stands for the offset of a row that only fills up the last group."""
PRODUCT_BLOCK = 1024
"""Rows multiplied at once in 8 bits: their sums stay in a core's cache until they are scaled."""

FewBits = Literal["bfloat16", "int8"]


def fast_few_bits(device: torch.device) -> FewBits | None:
    """The numbers of few bits that this processor multiplies in hardware; None where none."""
    if device.type != "cpu":
        return None
    if torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported():
        return "bfloat16"
    # Without VNNI, 8-bit products are slow, and their sums of pairs can saturate.
    return "int8" if torch.cpu._is_vnni_supported() else None


class Bfloat16Rows:
    """Rows in bfloat16. The offset is two more columns, for which queries hold 1.

    Args:
        residuals: Rows less the centre.
        offsets: Added to the products of a row, in float64.
        width: At least as many as there are rows.

    Attributes:
        row_error: Largest ‖f − f̃‖ of a row and its rounding.
        offset_error: Largest error of an offset, and of adding it.
    """

    def __init__(
        self, residuals: Float[Tensor, "n dim"], offsets: Float[Tensor, " n"], width: int
    ) -> None:
        count, dim = residuals.shape
        self._rounded = torch.zeros(width, dim + 2, dtype=torch.bfloat16)
        self._rounded[:count, :dim] = residuals
        self._rounded[:count, dim] = offsets
        self._rounded[:count, dim + 1] = offsets - self._rounded[:count, dim].double()
        self._rounded[count:, dim] = ABSENT
        self.row_error = _longest(residuals - self._rounded[:count, :dim].float())
        lost = offsets - self._rounded[:count, dim:].double().sum(dim=1)
        summing = 2 * dim * FLOAT32_ROUNDING * offsets.abs().max()
        self.offset_error = float(lost.abs().max() + summing)

    def products(
        self, less: Float[Tensor, "m dim"], out: BFloat16[Tensor, "m width"]
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        """Write `e·f + offset`, which bfloat16 rounds once more.

        Args:
            less: Queries less the centre, e.
            out: Where to.

        Returns:
            ‖e − ẽ‖ and ‖ẽ‖ of every query and its rounding.
        """
        dim = less.shape[1]
        rounded = torch.ones(len(less), dim + 2, dtype=torch.bfloat16)
        rounded[:, :dim] = less
        torch.mm(rounded, self._rounded.T, out=out)
        kept = rounded[:, :dim].float()
        return (less - kept).norm(dim=1), kept.norm(dim=1)


class Int8Rows:
    """Rows in whole numbers from −127 to 127, each with a scale of its own; sums are exact.

    Takes, holds and gives what `Bfloat16Rows` does.
    """

    def __init__(
        self, residuals: Float[Tensor, "n dim"], offsets: Float[Tensor, " n"], width: int
    ) -> None:
        count = len(residuals)
        filling = (0, width - count)
        rounded, scales = _whole(residuals)
        self.row_error = _longest(residuals - rounded * scales)
        self._rounded = torch.nn.functional.pad(rounded, (0, 0, *filling))
        self._scales = torch.nn.functional.pad(scales.squeeze(1), filling)
        self._offsets = torch.nn.functional.pad(offsets.float(), filling, value=ABSENT)
        self.offset_error = float(offsets.abs().max()) * 4 * FLOAT32_ROUNDING

    def products(
        self, less: Float[Tensor, "m dim"], out: BFloat16[Tensor, "m width"]
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        """See `Bfloat16Rows.products`."""
        rounded, scales = _whole(less)
        whole = torch.empty(len(less), PRODUCT_BLOCK, dtype=torch.int32)
        for start in range(0, len(self._rounded), PRODUCT_BLOCK):
            part = slice(start, start + PRODUCT_BLOCK)
            rows = self._rounded[part]
            if len(rows) < PRODUCT_BLOCK:
                whole = torch.empty(len(less), len(rows), dtype=torch.int32)
            torch._int_mm(rounded, rows.T, out=whole)  # pyright: ignore[reportPrivateImportUsage]
            out[:, part] = (
                whole.float().mul_(scales).mul_(self._scales[part]).add_(self._offsets[part])
            )
        kept = rounded * scales
        return (less - kept).norm(dim=1), kept.norm(dim=1)


def _whole(values: Tensor) -> tuple[Tensor, Tensor]:
    """Every row in steps of a 127th of its largest number, and the steps."""
    scales = values.abs().amax(dim=1, keepdim=True).clamp_(min=1e-30) / 127
    return (values / scales).round_().to(torch.int8), scales


def _longest(rows: Tensor) -> float:
    return float(rows.norm(dim=1).max())
