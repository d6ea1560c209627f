"""Random views of a batch of images."""

from collections.abc import Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.views.cutout import cut_out
from nearfar.views.draws import draw
from nearfar.views.exact import exact_views
from nearfar.views.fused import fused_views
from nearfar.views.parameters import ViewParameters
from nearfar.views.specs import ImageViewsSpec
from nearfar.views.views import Views


class RandomViews(Views):
    """Views of images, `(batch, channels, height, width)` uint8 of 0 to 255; see `Views`.

    A view is `(batch, channels, size, size)` float32.
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
        super().__init__(parameters, mean, std, count=count, channels=channels, examples=examples)
        self._mean, self._std = self._mean.float(), self._std.float()
        self.channels = channels
        self._implementation = implementation

    @torch.no_grad()
    def draw(
        self,
        examples: Tensor,
        generator: torch.Generator,
        view: int = 0,
        normalise: bool = True,
    ) -> Float32[Tensor, "batch channels size size"]:
        """One view of every image; see `Views.draw`."""
        self._check(examples)
        parameters = self.parameters[view % 2]
        count, _, height, width = examples.shape
        draws = draw(parameters, count, height, width, generator, self.channels)
        draws = draws.to(examples.device)
        ground = torch.zeros_like(self._mean) if normalise else self._mean
        mean = self._mean if normalise else torch.zeros_like(self._mean)
        std = self._std if normalise else torch.ones_like(self._std)
        # So small a copy is made at once; one that blocks would wait for all that is asked for.
        mean, std = (each.to(examples.device, non_blocking=True) for each in (mean, std))
        # A policy's operations are not linear and cannot be joined with others.
        if self._implementation == "fused" and parameters.policy == "none":
            views = fused_views(examples, draws, parameters, mean=mean, std=std)
        else:
            views = exact_views(examples, draws, parameters)
            views = (views - mean[:, None, None]) / std[:, None, None]
        if not parameters.cutout_side:
            return views
        return cut_out(
            views, draws.hole, parameters.cutout_side, ground.to(views.device, non_blocking=True)
        )

    def _check(self, examples: Tensor) -> None:
        if examples.dtype != torch.uint8:
            kind = str(examples.dtype).removeprefix("torch.")
            raise SettingError(f"views need uint8 images of 0 to 255, not {kind}: convert them")
        if examples.ndim != 4 or examples.shape[1] != self.channels or 0 in examples.shape[2:]:
            raise SettingError(
                f"views need images (batch, {self.channels}, height, width), "
                f"not {tuple(examples.shape)}"
            )


def image_views(
    spec: ImageViewsSpec, shape: tuple[int, ...], *, mean: Sequence[float], std: Sequence[float]
) -> RandomViews:
    """Views of images `(channels, size, size)`."""
    return RandomViews(
        spec.parameters(shape[0], shape[1]),
        channels=shape[0],
        mean=mean,
        std=std,
        count=spec.count,
        implementation=spec.implementation,
    )
