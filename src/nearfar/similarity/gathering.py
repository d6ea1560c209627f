"""Rows of all ranks on every rank, with gradients back to the rank that made them.

An objective compares all rows of the global batch. So each rank gathers the rows of all, every rank
computes the same loss L from them, and each rank carries back what concerns its own rows only.

**The gradients of parameters are averaged over ranks**, as `DistributedDataParallel` does. For that
the gradient of a gathered tensor comes back multiplied by the number of ranks. With W ranks, rank r
holding rows `x_r = f(θ, inputs_r)`, parameters θ before the gathering and φ after it (a learned
temperature, centres):

    dL/dθ = Σ_r (∂x_r/∂θ)ᵀ ∂L/∂x_r = 1/W Σ_r (∂x_r/∂θ)ᵀ (W ∂L/∂x_r)        one part a rank
    dL/dφ = 1/W Σ_r ∂L/∂φ                                                the same on every rank

An average is right for both, however uneven the ranks' rows; a sum would be right for θ alone. It
takes no communication in the backward pass. It holds only where every rank computes the whole loss:
a loss of a rank's own rows against everybody's needs the gradients of all ranks for its rows, and
would be wrong here without a warning.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.similarity.transformable import Transformable

# Every type that torch has, in an order that all ranks share: a type travels as its number.
_DTYPES = sorted({x for x in vars(torch).values() if isinstance(x, torch.dtype)}, key=str)
_MOST_DIMENSIONS = 8


def gather_rows(
    tensor: Shaped[Tensor, " rows *shape"], group: dist.ProcessGroup | None = None
) -> Shaped[Tensor, " all_rows *shape"]:
    """The rows of all ranks, in the order of the ranks, on every rank.

    Every rank of the group must call it. Float tensors carry a gradient: each rank's own slice of
    the gradient, times the number of ranks; parameters' gradients must then be averaged over ranks
    (the head of this file says why). Integers and booleans, such as labels, have none.

    Args:
        tensor: This rank's rows, of any type. Ranks may hold different numbers of rows, or none.
        group: The ranks that take part; all of them by default.

    Returns:
        The tensor itself where no process group has been set up, or only one rank is in it.

    Raises:
        NearfarError: On every rank alike, where ranks hold different types or shapes of rows.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    world = dist.get_world_size(group)
    if world < 1:
        raise NearfarError("gather_rows was called on a rank that is not in the group it names")
    if world == 1:
        return tensor
    counts = _rows_of_ranks(tensor, group, world)
    return _GatheredRows.apply(tensor, counts, group)  # pyright: ignore[reportReturnType]


class _GatheredRows(Transformable):
    """Gathers in the forward pass, slices in the backward pass."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        tensor: Tensor, counts: list[int], group: dist.ProcessGroup | None
    ) -> Tensor:
        return _gathered(tensor, counts, group)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:  # noqa: ARG004
        ctx.counts, ctx.group = inputs[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _OwnRows.apply(gradient, ctx.counts, ctx.group), None, None


class _OwnRows(Transformable):
    """Slices, times the number of ranks, in the forward pass; gathers in the backward pass.

    For what each rank makes of its own slice is again averaged over ranks, and their average
    depends on the slices of all:

        S = 1/W Σ_r s_r(W G_r)        ∂S/∂G_r = s_r′        for the second derivative, on every rank
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient: Tensor, counts: list[int], group: dist.ProcessGroup | None
    ) -> Tensor:
        return gradient.split(counts)[dist.get_rank(group)] * len(counts)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:  # noqa: ARG004
        ctx.counts, ctx.group = inputs[1:]

    @staticmethod
    def backward(ctx: Any, by: Tensor) -> tuple[Any, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _GatheredRows.apply(by, ctx.counts, ctx.group), None, None


def _gathered(
    tensor: Tensor, counts: list[int], group: dist.ProcessGroup | None
) -> Shaped[Tensor, " all_rows *shape"]:
    """The rows of all ranks; sent as bytes, because not every backend sends every type."""
    world, most = len(counts), max(counts)
    padded = tensor.new_zeros((most, *tensor.shape[1:]))
    padded[: len(tensor)] = tensor
    gathered = tensor.new_empty((world, *padded.shape))
    dist.all_gather_into_tensor(_bytes(gathered), _bytes(padded), group=group)
    if min(counts) == most:
        return gathered.flatten(0, 1)
    return torch.cat([rows[:count] for rows, count in zip(gathered, counts, strict=True)])


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.view(-1).view(torch.uint8)


def _rows_of_ranks(tensor: Tensor, group: dist.ProcessGroup | None, world: int) -> list[int]:
    """How many rows each rank holds; refuses, on every rank, rows that do not fit together."""
    shape = tuple(tensor.shape[:_MOST_DIMENSIONS])
    own = [_DTYPES.index(tensor.dtype), tensor.ndim, *shape]
    own += [0] * (2 + _MOST_DIMENSIONS - len(own))
    held = torch.empty(world, len(own), dtype=torch.int64, device=tensor.device)
    dist.all_gather_into_tensor(held.view(-1), torch.tensor(own, device=tensor.device), group=group)
    descriptions = held.tolist()
    kinds = {(dtype, dimensions, *sides) for dtype, dimensions, _, *sides in descriptions}
    dimensions = [description[1] for description in descriptions]
    if len(kinds) > 1 or min(dimensions) < 1 or max(dimensions) > _MOST_DIMENSIONS:
        found = ", ".join(
            f"rank {rank} holds {tuple(shape[:dimensions])} {_DTYPES[dtype]}".replace("torch.", "")
            for rank, (dtype, dimensions, *shape) in enumerate(descriptions)
        )
        raise NearfarError(
            "gather_rows needs tensors of 1 to 8 dimensions, the same on every rank in all but "
            f"their number of rows, and of one type: {found}"
        )
    return [rows for _, _, rows, *_ in descriptions]
