"""Mean and spread of each channel, by which images are normalised."""

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from nearfar.data.batches import evaluation_batches
from nearfar.data.source import Part, StreamedImages

MOST_IMAGES = 10_000
MOST_STREAMED_IMAGES = 1_000
"""Decoding is slow, and a thousand images give the mean to about a third of a percent."""


def channel_statistics(part: Part) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure each channel over a part, on images evenly spread through it.

    Args:
        part: The part to measure: at most 10 000 images in memory, 1000 streamed.

    Returns:
        Mean and standard deviation of each channel, in units where 255 is 1. The deviation is at
        least 1/255, so that a constant channel can be divided by it.
    """
    counts = torch.zeros(part.image_shape[0], 256, dtype=torch.int64)
    if isinstance(part.images, StreamedImages):
        for index in _evenly_spread(len(part), MOST_STREAMED_IMAGES).tolist():
            counts += _histograms(part.images[index][None])
    else:
        chosen = part.images[_evenly_spread(len(part), MOST_IMAGES)]
        for batch, _ in evaluation_batches(chosen, batch_size=256, device="cpu"):
            counts += _histograms(batch)

    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts.double() / counts.sum(1, keepdim=True)
    mean = shares @ levels
    std = (shares @ levels.square() - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)
    return tuple(mean.tolist()), tuple(std.tolist())


def _evenly_spread(count: int, most: int) -> Int64[Tensor, " n"]:
    """At most so many indices, evenly spread from the first on."""
    chosen = min(count, most)
    return torch.arange(chosen) * count // chosen


def _histograms(images: UInt8[Tensor, "n c h w"]) -> Int64[Tensor, "c 256"]:
    """How often each level occurs in each channel."""
    channels = images.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(channel, minlength=256) for channel in channels])
