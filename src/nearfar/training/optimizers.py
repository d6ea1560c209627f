"""Optimisers, with batch-norm parameters and biases left out of decay and of layer-wise rates."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from nearfar.training.parameter_groups import is_shared_out, parameter_groups
from nearfar.training.specs import AdamWSpec, LARSSpec, OptimizerSpec, SGDSpec


def adamw(spec: AdamWSpec, module: nn.Module) -> Optimizer:
    """AdamW over every parameter of a module that wants a gradient."""
    groups = _groups(spec, module)
    return AdamW(groups, lr=spec.learning_rate, fused=_may_be_fused(groups))


def sgd(spec: SGDSpec, module: nn.Module) -> Optimizer:
    """SGD with momentum, likewise."""
    groups = _groups(spec, module)
    optimizer = SGD(
        groups, lr=spec.learning_rate, momentum=spec.momentum, fused=_may_be_fused(groups)
    )
    if spec.momentum:
        # From 0, and not from the first gradient: of a first step that is given up (`found_inf`)
        # torch would go on from memory that nothing was written into. The first step is the same.
        for group in optimizer.param_groups:
            for weight in group["params"]:
                optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return optimizer


def lars(spec: LARSSpec, module: nn.Module) -> Optimizer:
    """LARS, likewise."""
    return LARS(_groups(spec, module), lr=spec.learning_rate, momentum=spec.momentum)


def _may_be_fused(groups: list[dict[str, Any]]) -> bool:
    """Whether all is whole: torch's fused steps do not all take what is shared out."""
    return not any(is_shared_out(each) for group in groups for each in group["params"])


def _groups(spec: OptimizerSpec, module: nn.Module) -> list[dict[str, Any]]:
    """The module's parameters with the decays and rates of a spec.

    Those of fewer than two dimensions have no weight decay and, in LARS, no layer-wise rate.
    """
    return parameter_groups(
        module,
        weight_decay=spec.weight_decay,
        layer_decay=spec.layer_decay,
        head_rate=spec.head_rate,
    )


class LARS(Optimizer):
    r"""Momentum with a learning rate for each layer, in proportion to how large its weights are.

    For a weight :math:`w` of two or more dimensions with gradient :math:`g`, decay :math:`\beta`,
    trust coefficient :math:`\eta`, momentum :math:`m` and learning rate :math:`\gamma`:

    .. math:: d = g + \beta w, \quad \lambda = \eta \frac{\|w\|}{\|d\|}, \quad
        v \leftarrow m v + \gamma \lambda d, \quad w \leftarrow w - v

    Weights of fewer dimensions take :math:`\lambda = 1`, and so does one where a norm is 0. The
    rate sits inside the velocity, so a falling rate does not shrink steps taken before.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate, above 0.
        momentum: 0 to 1.
        weight_decay: 0 or more.
        trust_coefficient: :math:`\eta`, above 0.

    Source:
        You, Gitman & Ginsburg 2017; in the form that SimCLR trained with (Chen et al. 2020), where
        the decay is part of the direction whose norm divides.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
        }
        super().__init__(params, defaults)
        # As torch's fused optimisers say it: `grad_scale` and `found_inf` are heeded.
        self._step_supports_amp_scaling = True

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step.

        Args:
            closure: Computes the loss and the gradients anew, where a caller wants that.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)
        return loss

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Move one weight, unless `found_inf` says that the step is given up."""
        divisor: Tensor | None = getattr(self, "grad_scale", None)
        given_up: Tensor | None = getattr(self, "found_inf", None)
        if divisor is not None:
            gradient = gradient / divisor
        direction = gradient.add(weight, alpha=group["weight_decay"])
        rate = group["lr"]
        if weight.ndim >= 2:
            size, slope = weight.norm(), direction.norm()
            trusted = group["trust_coefficient"] * size / slope
            rate = rate * torch.where((size > 0) & (slope > 0), trusted, 1.0)
        velocity = self.state[weight].get("velocity")
        if velocity is None:
            velocity = self.state[weight]["velocity"] = torch.zeros_like(weight)
        moved = velocity * group["momentum"] + direction * rate
        if given_up is not None:
            moved = torch.where(given_up.bool(), velocity, moved)
            velocity.copy_(moved)
            weight.copy_(torch.where(given_up.bool(), weight, weight - moved))
            return
        velocity.copy_(moved)
        weight.sub_(moved)
