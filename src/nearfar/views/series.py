"""One random view of every series of a batch, each with its own choices."""

import torch
from jaxtyping import Float32
from torch import Tensor

from nearfar.views.float_parameters import SeriesParameters


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
