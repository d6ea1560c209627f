"""Random views of a whole batch on its device, whatever the examples are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nearfar.errors import SettingError


class Views(ABC):
    """One or more random views of every example, each example with its own choices.

    The same examples and the same state of the generator give the same views, bit by bit, on the
    same machine. There is no other state.

    Args:
        parameters: What the first and the second view are drawn from, and all others in turn.
        mean: Mean of each channel or feature, which normalised views lose.
        std: Standard deviation of each; above 0.
        count: Views of each example.
        channels: How many channels or features an example has; 0 where nothing is normalised.
        examples: What they are, for messages.

    Raises:
        SettingError: Mean and deviation do not fit the examples.
    """

    def __init__(
        self,
        parameters: tuple[Any, Any],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        count: int,
        channels: int,
        examples: str,
    ) -> None:
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != channels:
                raise SettingError(f"views: {name} has {len(values)} values for {examples}")
        if min(std, default=1) <= 0:
            raise SettingError(f"views: std is {min(std):g} in a channel: needs to be above 0")
        self.parameters = parameters
        self.count = count
        self._mean = torch.tensor(tuple(mean), dtype=torch.float64)
        self._std = torch.tensor(tuple(std), dtype=torch.float64)

    def __call__(self, examples: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """`count` views of every example, normalised with mean and standard deviation."""
        return tuple(self.draw(examples, generator, view=view) for view in range(self.count))

    @abstractmethod
    def draw(
        self, examples: Tensor, generator: torch.Generator, view: int = 0, normalise: bool = True
    ) -> Tensor:
        """One view of every example.

        Args:
            examples: Originals, on the device where the views are wanted.
            generator: The only source of randomness, on any device.
            view: An even number draws from the first view's parameters, an odd one from the
                second's.
            normalise: Give views of mean 0 and deviation 1; else in the units of pictures, 0 to 1,
                or of the originals.

        Raises:
            SettingError: The examples are of another type or shape than these views are for.
        """
