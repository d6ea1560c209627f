"""An objective's operations on rows on one core; its tiles on all threads.

What an objective computes outside of its tiles (unit rows, positives, means and their gradients) is
some thirty operations of a fraction of a millisecond each. Torch shares out each of them to its
threads and waits for the last, which beside a busy program is often not scheduled: at 1024 rows the
waiting took thirty times as long as all else. So does MKL with every exponential, logarithm and
root of 128 numbers or more: 8 ms each. One core computes them as fast as two, nearly.
"""

from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import wraps
from typing import Any, ParamSpec

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from nearfar.similarity.computing import computing_now
from nearfar.similarity.threads import one_core_outside_jobs, shares_out

SHARED_OUT_FROM = 128
"""Elements: the threads leave smaller tensors to the thread that has them."""

_Arguments = ParamSpec("_Arguments")


def rows_on_one_core(
    objective: Callable[_Arguments, Tensor],
) -> Callable[_Arguments, Tensor]:
    """The objective, computed forward and backward on one core but for its tiles.

    Values and derivatives of any order are the objective's own; with the tiles, value and gradient
    then have the same bits for any number of threads. On another device, on one thread, for small
    tensors, without tiles or within `torch.func` the objective is called as it is.
    """

    compute: Callable[..., Tensor] = objective

    @wraps(compute)
    def computed(*args: Any, **kwargs: Any) -> Tensor:
        leaves, structure = tree_flatten((args, kwargs))
        places = [at for at, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        tensors = [leaves[at] for at in places]
        if not _is_worth_it(tensors):
            return compute(*args, **kwargs)

        for at in places:
            leaves[at] = None  # tensors that autograd saves are held by it alone

        def of_tensors(*tensors: Tensor) -> Tensor:
            given = list(leaves)
            for at, tensor in zip(places, tensors, strict=True):
                given[at] = tensor
            again, named = tree_unflatten(given, structure)
            return compute(*again, **named)

        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return _OnOneCore.apply(of_tensors, *tensors)  # pyright: ignore[reportReturnType]
        with one_core_outside_jobs(tensors[0].device):
            return of_tensors(*tensors)

    return computed


def _is_worth_it(tensors: Sequence[Tensor]) -> bool:
    """Whether one core is faster: enough numbers, several threads, and tiles that use these."""
    return (
        sum(tensor.numel() for tensor in tensors) >= SHARED_OUT_FROM
        and shares_out(tensors[0].device)
        and computing_now().implementation in (None, "tiles")
        and not torch._C._are_functorch_transforms_active()
    )


class _OnOneCore(torch.autograd.Function):
    """A scalar of tensors, whose own graph is made, and gone through, on one core."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.compute, ctx.context = compute, copy_context()
        ctx.save_for_backward(*tensors)
        leaves = [
            tensor.detach().requires_grad_(needed)
            for tensor, needed in zip(tensors, ctx.needs_input_grad[1:], strict=True)
        ]
        with torch.enable_grad(), one_core_outside_jobs(tensors[0].device):
            scalar = compute(*leaves)
        ctx.graph = scalar, leaves
        return scalar.detach()

    @staticmethod
    def backward(ctx: Any, by: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # to be differentiated again: torch's own way, from the start
            leaves = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
            scalar = ctx.context.copy().run(ctx.compute, *leaves)
            return None, *_gradients(scalar, leaves, needed, by, create_graph=True)
        scalar, leaves = ctx.graph
        keep = torch._C._autograd._get_current_graph_task_keep_graph()  # pyright: ignore[reportAttributeAccessIssue]
        with one_core_outside_jobs(by.device):
            return None, *_gradients(scalar, leaves, needed, by, retain_graph=keep)


def _gradients(
    scalar: Tensor, leaves: list[Tensor], needed: Sequence[bool], by: Tensor, **how: bool
) -> tuple[Tensor | None, ...]:
    of = [leaf for leaf, has in zip(leaves, needed, strict=True) if has]
    found = iter(torch.autograd.grad(scalar, of, by, allow_unused=True, **how))
    return tuple(next(found) if has else None for has in needed)
