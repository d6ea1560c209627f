"""Optimisers, with batch-norm parameters and biases left out of decay and of layer-wise rates."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from nearfar.training.config import TrainingConfig


def build_optimizer(config: TrainingConfig, module: nn.Module) -> Optimizer:
    """The optimiser that the settings name, over every parameter of a module that wants a gradient.

    Parameters of fewer than two dimensions (biases, the scales and shifts of normalisation layers)
    form a group of their own, without weight decay and, in LARS, without a layer-wise rate.

    Args:
        config: The settings; the learning rate is set anew before each step by the loop.
        module: What is trained.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {
            "params": [parameter for parameter in trained if parameter.ndim >= 2],
            "weight_decay": config.weight_decay,
        },
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate, momentum = config.learning_rate, config.momentum
    if config.optimizer == "adamw":
        return AdamW(groups, lr=rate, fused=True)
    if config.optimizer == "sgd":
        return SGD(groups, lr=rate, momentum=momentum, fused=True)
    return LARS(groups, lr=rate, momentum=momentum)


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
        """Move one weight."""
        direction = gradient.add(weight, alpha=group["weight_decay"])
        rate = torch.as_tensor(group["lr"], dtype=weight.dtype, device=weight.device)
        if weight.ndim >= 2:
            size, slope = weight.norm(), direction.norm()
            trusted = group["trust_coefficient"] * size / slope
            rate = rate * torch.where((size > 0) & (slope > 0), trusted, 1.0)
        velocity = self.state[weight].get("velocity")
        if velocity is None:
            velocity = self.state[weight]["velocity"] = torch.zeros_like(weight)
        velocity.mul_(group["momentum"]).add_(direction * rate)
        weight.sub_(velocity)
