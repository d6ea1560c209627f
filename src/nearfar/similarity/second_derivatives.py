"""Second derivatives of sums over similarities, a block of rows at a time.

The first gradient of such a sum is `W k` for the queries, `Wᵀ q` for the keys and the columns' sums
of `W` for the bias, where `W` weighs every similarity. It is computed by tiles. Where it is to be
differentiated again (`create_graph=True`), it becomes a function of its own here, whose backward
pass makes W anew with torch's own operations: a block of rows with all keys, never all pairs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.similarity.computing import Computing
from nearfar.similarity.transformable import Transformable

PAIRS_AT_ONCE = 2**20
"""Similarities of a block: 4 MiB in float32, and a few matrices of that size."""

Operands = tuple[Tensor | None, ...]
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Weights:
    """How the similarities of one sum are weighed in its gradient.

    Attributes:
        gradients: Of operands (queries, keys or None, bias or None), further tensors and which of
            queries, keys and bias are wanted: their gradients, by tiles. Keys are None where they
            are the queries.
        of_block: Of a slice of rows, their similarities to all keys, and the further tensors: the
            weight of each pair, by operations that torch differentiates.
        computing: How precisely, and who shares the rows.
    """

    gradients: Callable[[Operands, tuple[Tensor, ...], tuple[bool, ...]], Gradients]
    of_block: Callable[[slice, Tensor, tuple[Tensor, ...]], Tensor]
    computing: Computing


def differentiable_gradients(
    weights: Weights,
    operands: tuple[Tensor | None, ...],
    further: tuple[Tensor, ...],
    wanted: tuple[bool, ...],
) -> Gradients:
    """The gradients that `weights.gradients` computes, as a function that has derivatives.

    Args:
        weights: Of the sum.
        operands: Queries, keys (None where they are the queries) and bias (or None).
        further: Whatever else the weights depend on: incoming gradients, and sums.
        wanted: Which of the operands need a gradient.
    """
    found = _Gradients.apply(weights, wanted, *operands, *further)
    return tuple(  # pyright: ignore[reportReturnType]
        each if has and operand is not None else None
        for each, has, operand in zip(found, wanted, (operands[0], *operands[1:]), strict=True)  # pyright: ignore[reportArgumentType]
    )


class _Gradients(Transformable):
    """First gradients by tiles; empty where they are not wanted."""

    @staticmethod
    def forward(
        weights: Weights, wanted: tuple[bool, ...], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        further: Any = tensors[3:]
        found = weights.gradients(tensors[:3], further, wanted)
        nothing: Any = tensors[0]
        return tuple(nothing.new_zeros(0) if each is None else each for each in found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.weights, wanted, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(
            *(each for each, has in zip(output, wanted, strict=True) if not has)
        )

    @staticmethod
    def backward(ctx: Any, *by: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        needed = ctx.needs_input_grad[2:]
        found: Any = _SecondDerivatives.apply(ctx.weights, needed, *by, *ctx.saved_tensors)
        return None, None, *(each if has else None for each, has in zip(found, needed, strict=True))


class _SecondDerivatives(Transformable):
    """What `_Gradients` passes back; empty where it is not needed. Itself without a derivative."""

    @staticmethod
    def forward(
        weights: Weights, needed: tuple[bool, ...], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        by, operands = tensors[:3], tensors[3:]
        queries: Any = operands[0]
        leaves = [
            None if each is None else each.detach().requires_grad_(has)
            for each, has in zip(operands, needed, strict=True)
        ]
        of = [each for each in leaves if each is not None and each.requires_grad]
        totals = [torch.zeros_like(each) for each in of]
        with (
            torch.enable_grad(),
            torch.autocast(queries.device.type, enabled=False),
            weights.computing.precision(),
        ):
            for rows in _blocks(leaves, weights.computing):
                passed = torch.autograd.grad(
                    _change(weights, rows, by, leaves), of, allow_unused=True
                )
                for total, part in zip(totals, passed, strict=True):
                    if part is not None:
                        total += part
        weights.computing.add_up(*totals)
        rest = iter(totals)
        return tuple(
            next(rest) if each is not None and each.requires_grad else queries.new_zeros(0)
            for each in leaves
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *by: Tensor) -> NoReturn:  # noqa: ARG004  # pyright: ignore[reportIncompatibleMethodOverride]
        raise NearfarError(
            "similarities computed by tiles have no third derivative: compute them densely, within"
            ' `with computing(implementation="dense"):`'
        )


def _blocks(leaves: list[Any], computing: Computing) -> Iterator[slice]:
    queries, keys = leaves[0], leaves[0] if leaves[1] is None else leaves[1]
    size = max(1, PAIRS_AT_ONCE // max(1, len(keys)))
    for number, first in enumerate(range(0, len(queries), size)):
        if number % computing.ranks == computing.rank:
            yield slice(first, min(first + size, len(queries)))


def _change(
    weights: Weights, rows: slice, by: tuple[Tensor | None, ...], leaves: list[Any]
) -> Float[Tensor, ""]:
    """How fast these rows' part of the gradients changes along `by`: `Σ_ij W_ij u_ij`, where
    `u_ij` is how fast the similarity does."""
    queries, keys, bias, *further = leaves
    by_queries, by_keys, by_bias = by
    if keys is None:
        keys, by_keys = queries, by_queries
    similarities = queries[rows] @ keys.T
    changes = similarities.new_zeros(())
    if by_queries is not None:
        changes = by_queries[rows] @ keys.T
    if by_keys is not None:
        changes = changes + queries[rows] @ by_keys.T
    if by_bias is not None:
        changes = changes + by_bias
    if bias is not None:
        similarities = similarities + bias
    return (weights.of_block(rows, similarities, tuple(further)) * changes).sum()
