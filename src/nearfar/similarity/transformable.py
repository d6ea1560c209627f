"""Functions with a backward pass of their own that torch.func can transform too."""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nearfar.errors import NearfarError


class Transformable(torch.autograd.Function):
    """A function that torch differentiates backwards, also by `torch.func.grad` and `jacrev`.

    `vmap` calls it for one example after another: what it computes with is not made for batches.
    """

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Each example's outputs, stacked."""
        found: Any = [
            cls.apply(
                *(
                    given.select(dim, number) if isinstance(dim, int) else given
                    for given, dim in zip(arguments, in_dims, strict=True)
                )
            )
            for number in range(info.batch_size)
        ]
        if isinstance(found[0], Tensor):
            return torch.stack(found), 0
        stacked = tuple(torch.stack(each) for each in zip(*found, strict=True))
        return stacked, (0,) * len(stacked)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> NoReturn:  # noqa: ARG004
        """Refused."""
        raise NearfarError(
            "similarities computed by tiles have no forward-mode derivative (jvp, jacfwd,"
            " torch.func.hessian): use reverse mode (grad, vjp, jacrev of jacrev), or compute them"
            ' densely, within `with computing(implementation="dense"):`'
        )


def chosen(choose: Callable[..., tuple[Tensor, ...]], *tensors: Tensor | None) -> Any:
    """Indices or other values that a function chooses from tensors; they have no derivative."""
    return _Chosen.apply(choose, *tensors)


class _Chosen(Transformable):
    """Has no derivative."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        choose: Callable[..., tuple[Tensor, ...]], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        return choose(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[Tensor, ...]) -> None:  # noqa: ARG004
        ctx.mark_non_differentiable(*output)
        ctx.count = len(output)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:  # noqa: ARG004
        return (None,) * ctx.count


def computed_again(compute: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """`compute(*arguments)`; the backward pass computes it again, and nothing is held for it.

    Within torch.func, which has nothing of the kind, all is held.
    """
    if torch._C._are_functorch_transforms_active():
        return compute(*arguments)
    return checkpoint(  # pyright: ignore[reportReturnType]
        compute, *arguments, use_reentrant=False, preserve_rng_state=False
    )
