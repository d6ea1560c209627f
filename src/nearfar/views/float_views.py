"""Random views of a whole batch of series or of vectors on its device."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Float32, Integer
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.modality import Modality, in_words
from nearfar.standardising import in_float64, standardised
from nearfar.views.parameters import SeriesParameters, VectorParameters
from nearfar.views.specs import ScarfViewsSpec, SeriesViewsSpec, VectorViewsSpec
from nearfar.views.views import Views


def series_view(
    series: Float32[Tensor, "batch channels steps"],
    parameters: SeriesParameters,
    generator: torch.Generator,
) -> Float32[Tensor, "batch channels steps"]:
    """Crop and stretch, scale, add noise, mask a stretch of time, drop channels.

    Noise and scaling are Um et al. 2017 (jittering, scaling), the crop is their window slicing,
    stretched back by linear interpolation; Eldele et al. 2021 (TS-TCC) take noise and scaling for
    contrast too. What is masked becomes 0: the channel's mean.

    Args:
        series: Of mean 0 and deviation 1 in each channel, on the device of the views.
        parameters: What to draw from.
        generator: The only source of randomness, on any device.
    """
    batch, channels, steps = series.shape
    device = series.device
    share, start, masked, begin = _uniform(generator, 4, batch, device=device).unbind()
    views = _stretched(series, share, start, parameters.crop_length)
    if parameters.scaling:
        views = views * (
            1 + parameters.scaling * _normal(generator, batch, channels, 1, like=series)
        )
    if parameters.noise:
        views = views + parameters.noise * _normal(generator, *series.shape, like=series)
    # At 0.5 of a step, a mask shorter than that hides none.
    length = (masked * parameters.time_mask * steps).round()
    first = (begin * (steps - length + 1)).floor()
    step = torch.arange(steps, device=device)
    hidden = (step >= first[:, None]) & (step < (first + length)[:, None])
    if parameters.channel_drop:
        drawn = _uniform(generator, batch, channels, device=device)
        dropped = drawn < parameters.channel_drop
        dropped &= drawn < drawn.amax(dim=1, keepdim=True)  # the last one stays
        return views.masked_fill(hidden[:, None] | dropped[:, :, None], 0.0)
    return views.masked_fill(hidden[:, None], 0.0)


def _stretched(
    series: Float32[Tensor, "batch channels steps"],
    share: Float32[Tensor, " batch"],
    start: Float32[Tensor, " batch"],
    crop_length: tuple[float, float],
) -> Float32[Tensor, "batch channels steps"]:
    """A piece of each series at the length of the whole, interpolated linearly."""
    steps = series.shape[2]
    low, high = crop_length
    pace = low + (high - low) * share
    first = start * (1 - pace) * (steps - 1)
    step = torch.arange(steps, device=series.device)
    position = (first[:, None] + pace[:, None] * step).clamp(max=steps - 1)
    before = position.floor()
    weight = (position - before)[:, None]
    left = before.long()[:, None].expand_as(series)
    right = (left + 1).clamp(max=steps - 1)
    return torch.lerp(series.gather(2, left), series.gather(2, right), weight)


def _uniform(generator: torch.Generator, *shape: int, device: torch.device) -> Tensor:
    """Numbers of 0 to 1, drawn on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)


def _normal(generator: torch.Generator, *shape: int, like: Tensor) -> Tensor:
    """Standard normal numbers, drawn on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like.device)


def vector_view(
    vectors: Float32[Tensor, "batch features"],
    parameters: VectorParameters,
    generator: torch.Generator,
    columns: Integer[Tensor, " features"] | None = None,
) -> Float32[Tensor, "batch features"]:
    """Replace features by those of other vectors, mix another vector in, add noise.

    SCARF (Bahri et al. 2022) draws a corrupted feature from all of the training data; here, as
    for the mixture (Verma et al. 2021, DACL), the other vectors are those of the batch.

    Args:
        vectors: Of mean 0 and deviation 1 in each feature, on the device of the views.
        parameters: What to draw from.
        generator: The only source of randomness, on any device.
        columns: Which column of a table each feature is of, from 0: those of one are replaced
            together, as words that cannot stand beside each other must be. None: each is alone.
    """
    batch, width = vectors.shape
    device, where = vectors.device, {"generator": generator, "device": generator.device}
    drawn = (batch, width if columns is None else int(columns.max()) + 1)
    corrupted = (torch.rand(drawn, **where) < parameters.corruption).to(device)
    donors = torch.randint(batch, drawn, **where).to(device)
    if columns is not None:
        corrupted, donors = (each[:, columns.to(device)] for each in (corrupted, donors))
    views = torch.where(corrupted, vectors.gather(0, donors), vectors)
    weight = (parameters.mixup * torch.rand(batch, 1, **where)).to(device)
    partner = torch.randint(batch, (batch,), **where).to(device)
    views = torch.lerp(views, vectors[partner], weight)
    if parameters.noise:
        views = views + parameters.noise * torch.randn(vectors.shape, **where).to(device)
    return views


class FloatViews(Views):
    """Views of series `(batch, channels, steps)` or vectors `(batch, features)`; see `Views`.

    Originals are float32 or float64; normalised views are float32, others of the originals' type.
    """

    def __init__(
        self,
        view: Callable[..., Tensor],
        parameters: tuple[Any, Any],
        *,
        shape: tuple[int, ...],
        mean: Sequence[float],
        std: Sequence[float],
        modality: Modality,
        count: int = 2,
    ) -> None:
        examples = in_words(modality, shape)
        super().__init__(parameters, mean, std, count=count, channels=shape[0], examples=examples)
        self.shape = shape
        self._columns: Tensor | None = None
        self._in_words = examples
        self._view = view

    def by_column(self, names: Sequence[str]) -> "FloatViews":
        """These views of rows of a table, the features of a column replaced together.

        Args:
            names: Of the column that each feature is of.
        """
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        if len(numbers) < len(names):
            self._columns = torch.tensor([numbers[name] for name in names])
        return self

    @torch.no_grad()
    def draw(
        self,
        examples: Tensor,
        generator: torch.Generator,
        view: int = 0,
        normalise: bool = True,
    ) -> Float[Tensor, "batch ..."]:
        """One view of every example; see `Views.draw`."""
        known = examples.dtype in (torch.float32, torch.float64)
        if not known or tuple(examples.shape[1:]) != self.shape:
            kind = str(examples.dtype).removeprefix("torch.")
            raise SettingError(
                f"views need float32 or float64 {self._in_words}, not {kind} "
                f"{tuple(examples.shape)}"
            )
        own = standardised(examples, self._mean, self._std)
        together = () if self._columns is None else (self._columns,)
        views = self._view(own, self.parameters[view % 2], generator, *together)
        if normalise:
            return views
        sides = (-1,) + (1,) * (examples.ndim - 2)
        exact = in_float64(views)
        mean, std = (each.view(sides).to(exact.device) for each in (self._mean, self._std))
        return (exact * std + mean).to(examples.dtype).to(examples.device)


def float_views(
    spec: SeriesViewsSpec | VectorViewsSpec | ScarfViewsSpec,
    shape: tuple[int, ...],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> FloatViews:
    """Views of series `(channels, steps)` or vectors `(features,)`."""
    view = series_view if isinstance(spec, SeriesViewsSpec) else vector_view
    return FloatViews(
        view,
        spec.parameters(),
        shape=shape,
        mean=mean,
        std=std,
        modality=spec.takes,
        count=spec.count,
    )
