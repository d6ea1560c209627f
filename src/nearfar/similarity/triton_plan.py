"""How the GPU kernels cut a matrix of similarities, for a device, a width and a precision.

The choice is a table and not a measurement at run time: it decides the order of additions and so
the bits of the result, and the same call must give the same bits.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.similarity.computing import Products

# The least that a tile's product can sum over, and the widest gradient that fits into registers.
_NARROWEST, _WIDEST = 16, 256
# What kernels keep in shared memory beside tiles: partial sums on their way between warps.
_BESIDE_TILES = 6 * 1024


@dataclass(frozen=True)
class Cut:
    """A tile and what works on it.

    Attributes:
        rows: Rows of a tile, a power of two.
        keys: Keys of a tile, a power of two that divides the rows.
        warps: Warps of a program.
        stages: Tiles on their way from memory at a time.
    """

    rows: int
    keys: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Plan:
    """How a matrix is cut.

    Attributes:
        products: Precision of products; sums are in float32.
        held: A program keeps its rows on the chip, and the gradient to them; else products are
            summed over blocks of columns, and weights pass through memory to a library's product.
        value: For the log-sum-exps.
        gradient: For the gradients.
        programs: How many programs keep the device busy to the end.
        dim: Columns that a product takes at a time where rows are not held.
        slab: Rows and keys, a multiple of a tile's, of the weights in memory at a time.
        column_parts: Numbers in memory at a time before they are added up to columns' sums.
    """

    products: Products
    held: bool
    value: Cut
    gradient: Cut
    programs: int
    dim: int = 32
    slab: int = 4096
    column_parts: int = 1 << 25

    @property
    def precision(self) -> str:
        """Triton's name of the precision; bfloat16 is a type of the operands."""
        return "tf32" if self.products == "tf32" else "ieee"

    def operand(self, rows: Float[Tensor, "n dim"]) -> Float[Tensor, "n padded"]:
        """Rows as the kernels read them: in the type of the products, filled up with zeros."""
        dim = rows.shape[1]
        padded = _power_of_two(dim) if self.held else -(-dim // self.dim) * self.dim
        kind = torch.bfloat16 if self.products == "bfloat16" else torch.float32
        if padded == dim:
            return rows.to(kind).contiguous()
        filled = rows.new_zeros((len(rows), padded), dtype=kind)
        filled[:, :dim] = rows
        return filled

    def splits(self, blocks: int, keys: int, cut: Cut) -> tuple[int, int]:
        """Into how many parts the keys fall, so that this many blocks of rows keep a device busy.

        Returns:
            The number of parts, and the keys of each, a multiple of a tile's.
        """
        tiles = max(-(-keys // cut.keys), 1)
        parts = min(-(-self.programs // max(blocks, 1)), tiles)
        tiles_of_part = -(-tiles // parts)
        return -(-tiles // tiles_of_part), tiles_of_part * cut.keys


def plan_for(rows: Float[Tensor, "n dim"], products: Products) -> Plan:
    """The plan for rows of this width on the device that they are on.

    Tensor cores multiply bfloat16 and tf32, and rows that fit on the chip stay there. In float32
    no tensor core helps, products decide the time, and a library's are the fastest.
    """
    memory, processors = _shared_memory_and_processors(rows.device)
    programs = 4 * processors
    if products == "float32":
        cut = Cut(128, 64, warps=8, stages=2)
        return Plan(products, False, cut, cut, programs)
    bytes_of_number = 2 if products == "bfloat16" else 4
    width = _power_of_two(rows.shape[1]) * bytes_of_number
    for stages in (3, 2):
        fits = width * (128 + stages * 64) + _BESIDE_TILES <= memory
        if fits and _power_of_two(rows.shape[1]) <= _WIDEST:
            value = Cut(128, 64, warps=4 if products == "bfloat16" else 8, stages=stages)
            return Plan(products, True, value, Cut(128, 64, warps=8, stages=stages), programs)
    dim = 128 // bytes_of_number
    stages = 3 if memory >= 128 * (128 + 128) * 3 + _BESIDE_TILES else 2
    cut = Cut(128, 128, warps=8, stages=stages)
    return Plan(products, False, cut, cut, programs, dim=dim)


def _power_of_two(dim: int) -> int:
    """The next power of two, at least what a product can sum over."""
    return max(_NARROWEST, 1 << (dim - 1).bit_length())


def _shared_memory_and_processors(device: torch.device) -> tuple[int, int]:
    """Bytes that a program can share, and multiprocessors; an H100's for Triton's interpreter."""
    if device.type != "cuda":
        return 227 * 1024, 132
    found = torch.cuda.get_device_properties(device)
    return found.shared_memory_per_block_optin, found.multi_processor_count
