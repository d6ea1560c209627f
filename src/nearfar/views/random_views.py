"""Random views of a whole batch on its device, each image with its own parameters."""

from collections.abc import Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.views.draws import draw
from nearfar.views.exact import exact_views
from nearfar.views.fused import fused_views
from nearfar.views.parameters import ViewParameters
from nearfar.views.statistics import check_statistics


class RandomViews:
    """One or more random views of every image.

    The same images and the same state of the generator give the same views, bit by bit, on the
    same machine. There is no other state.

    Attributes:
        parameters: What the first and the second view are drawn from, and all others in turn.
        count: Views of each image.
        channels: Channels that the images must have.
    """

    def __init__(
        self,
        parameters: tuple[ViewParameters, ViewParameters],
        *,
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        count: int = 2,
        implementation: str = "fused",
    ):
        examples = f"images of {channels} channels"
        check_statistics(mean, std, count=channels, examples=examples)
        self.parameters = parameters
        self.count = count
        self.channels = channels
        self._mean = torch.tensor(tuple(mean), dtype=torch.float32)
        self._std = torch.tensor(tuple(std), dtype=torch.float32)
        self._implementation = implementation

    def __call__(
        self, images: Tensor, generator: torch.Generator
    ) -> tuple[Float32[Tensor, "batch channels size size"], ...]:
        """`count` views of every image, normalised with mean and standard deviation.

        Args:
            images: Originals, `(batch, channels, height, width)` uint8 of 0 to 255, on the device
                where the views are wanted.
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
    ) -> Float32[Tensor, "batch channels size size"]:
        """One view of every image.

        Args:
            images: Originals, `(batch, channels, height, width)` uint8 of 0 to 255, on the device
                where the views are wanted.
            generator: The only source of randomness, on any device.
            view: An even number draws from the first view's parameters, an odd one from the
                second's.
            normalise: Subtract the mean and divide by the standard deviation; else 0 to 1, for
                pictures.

        Raises:
            SettingError: The images are no `(batch, channels, height, width)` uint8 tensor with
                the channels that these views were built for, or a side is 0.
        """
        self._check(images)
        parameters = self.parameters[view % 2]
        count, _, height, width = images.shape
        draws = draw(parameters, count, height, width, generator).to(images.device)
        mean = self._mean if normalise else torch.zeros_like(self._mean)
        std = self._std if normalise else torch.ones_like(self._std)
        mean, std = mean.to(images.device), std.to(images.device)
        if self._implementation == "fused":
            return fused_views(images, draws, parameters, mean=mean, std=std)
        views = exact_views(images, draws, parameters)
        return (views - mean[:, None, None]) / std[:, None, None]

    def _check(self, images: Tensor) -> None:
        """Refuse what is no batch of images of the right kind."""
        if images.dtype != torch.uint8:
            kind = str(images.dtype).removeprefix("torch.")
            raise SettingError(f"views need uint8 images of 0 to 255, not {kind}: convert them")
        if images.ndim != 4 or images.shape[1] != self.channels or 0 in images.shape[2:]:
            raise SettingError(
                f"views need images (batch, {self.channels}, height, width), "
                f"not {tuple(images.shape)}"
            )
