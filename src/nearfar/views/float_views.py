"""Random views of a whole batch of series or of vectors on its device."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.modality import Modality, in_words
from nearfar.standardising import standardised
from nearfar.views.statistics import check_statistics


class FloatViews:
    """One or more random views of every series or vector, as `RandomViews` is of images.

    The same examples and the same state of the generator give the same views, bit by bit, on the
    same machine. There is no other state.

    Args:
        view: Makes one view of a batch that is normalised: `series_view` or `vector_view`.
        parameters: What the first and the second view are drawn from, and all others in turn.
        shape: Of one example.
        mean: Mean of each channel or feature.
        std: Standard deviation of each; above 0.
        modality: What the examples are.
        count: Views of each example.

    Raises:
        SettingError: Mean and deviation do not fit the shape.
    """

    def __init__(
        self,
        view: Callable[[Tensor, Any, torch.Generator], Tensor],
        parameters: tuple[Any, Any],
        *,
        shape: tuple[int, ...],
        mean: Sequence[float],
        std: Sequence[float],
        modality: Modality,
        count: int = 2,
    ) -> None:
        check_statistics(mean, std, count=shape[0], examples=in_words(modality, shape))
        self.parameters = parameters
        self.count = count
        self.shape = shape
        self.modality = modality
        self._view = view
        self._mean = torch.tensor(tuple(mean), dtype=torch.float64)
        self._std = torch.tensor(tuple(std), dtype=torch.float64)

    def __call__(
        self, images: Tensor, generator: torch.Generator
    ) -> tuple[Float32[Tensor, "batch ..."], ...]:
        """`count` views of every example, normalised with mean and standard deviation.

        Args:
            images: Originals, `(batch, channels, steps)` or `(batch, features)`, float32 or
                float64, on the device where the views are wanted.
            generator: The only source of randomness, on any device.
        """
        return tuple(self.draw(images, generator, view=view) for view in range(self.count))

    @torch.no_grad()
    def draw(
        self,
        images: Tensor,
        generator: torch.Generator,
        view: int = 0,
        normalise: bool = True,
    ) -> Float[Tensor, "batch ..."]:
        """One view of every example.

        Args:
            images: Originals, float32 or float64, on the device where the views are wanted.
            generator: The only source of randomness, on any device.
            view: An even number draws from the first view's parameters, an odd one from the
                second's.
            normalise: Give views of mean 0 and deviation 1, float32; else in the units and the
                type of the originals.

        Raises:
            SettingError: The examples are of another type or shape than these views are for.
        """
        known = images.dtype in (torch.float32, torch.float64)
        if not known or tuple(images.shape[1:]) != self.shape:
            kind = str(images.dtype).removeprefix("torch.")
            raise SettingError(
                f"views need float32 or float64 {in_words(self.modality, self.shape)}, not {kind} "
                f"{tuple(images.shape)}"
            )
        mean, std = self._mean.to(images.device), self._std.to(images.device)
        views = self._view(standardised(images, mean, std), self.parameters[view % 2], generator)
        if normalise:
            return views
        sides = (-1,) + (1,) * (images.ndim - 2)
        return (views.double() * std.view(sides) + mean.view(sides)).to(images.dtype)
