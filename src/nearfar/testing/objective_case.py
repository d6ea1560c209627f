"""An objective as its checks see it: what it is called with, and what holds for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class ObjectiveCase:
    """An objective, its equation as a loop, and what holds for it.

    Inputs are spoken of by their position. An input is one row an example (split over ranks,
    put in another order together) unless it is `common`.

    Attributes:
        name: Of the objective; with a word behind it where one has several cases.
        objective: Called as `objective(*inputs, **settings)`.
        slow: The equation as a loop over Python numbers, called likewise; None where there is none.
        inputs: `(batch, dim, seed)` to float64 and integer tensors that are not degenerate.
        settings: Hyperparameters of both.
        sharp: The same at temperature 0.01 (or as sharp), where there is a temperature.
        common: Inputs that all ranks hold alike: queues, centres, class counts, a learned scale.
        constant: Floating-point inputs that need no gradient.
        rotated: Inputs that may be rotated together without changing the value; empty if none.
        scaled: Inputs whose rows may each be multiplied by a number above 0 likewise.
        unbounded: Inputs in which infinity has a meaning: logits, log-densities.
        smallest_batch: Smaller ones are refused with words that match `too_small`.
        too_small: A regular expression.
        refused: Further inputs that must be refused, each with words that match.
        linear_memory: No tensor grows with the square of the batch.
    """

    name: str
    objective: Callable[..., Tensor]
    slow: Callable[..., float] | None
    inputs: Callable[[int, int, int], Inputs]
    settings: Mapping[str, Any] = field(default_factory=dict)
    sharp: Mapping[str, Any] | None = None
    common: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    rotated: tuple[int, ...] = ()
    scaled: tuple[int, ...] = ()
    unbounded: tuple[int, ...] = ()
    smallest_batch: int = 2
    too_small: str = "batch of 2 or more, not 1"
    refused: tuple[tuple[Inputs, str], ...] = ()
    linear_memory: bool = True

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The objective of these inputs."""
        return self.objective(*inputs, **self.settings)

    def reference(self, *inputs: Tensor) -> float:
        """The same by the slow loop."""
        assert self.slow is not None, f"{self.name} has no slow loop"
        return self.slow(*inputs, **self.settings)

    def at_low_temperature(self) -> "ObjectiveCase":
        """This case with its sharp settings."""
        assert self.sharp is not None, f"{self.name} has no temperature"
        return replace(self, name=f"{self.name} at low temperature", settings=self.sharp)

    def differentiable(self, inputs: Inputs) -> tuple[int, ...]:
        """The positions of the inputs that get a gradient."""
        return tuple(
            i
            for i, tensor in enumerate(inputs)
            if tensor.is_floating_point() and i not in self.constant
        )

    def value_and_gradients(
        self, inputs: Inputs, *, autocast: bool = False
    ) -> tuple[Tensor, Inputs]:
        """The value, and the gradient of each differentiable input, in the inputs' precision.

        With `autocast`, the objective is called (not its gradient, as torch advises) under it.
        """
        held = [tensor.detach().clone() for tensor in inputs]
        wanted = self.differentiable(inputs)
        for i in wanted:
            held[i].requires_grad_()
        device = held[0].device.type
        with torch.autocast(device, enabled=autocast):
            value = self(*held)
        return value.detach(), torch.autograd.grad(value, [held[i] for i in wanted])


def cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """The inputs with their floating-point tensors in another precision."""
    return tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
