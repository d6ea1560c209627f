"""Mean and spread of each channel or feature, by which examples are normalised."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from nearfar.data.batches import evaluation_batches
from nearfar.data.source import Part, StreamedExamples
from nearfar.modality import channels_of

MOST_EXAMPLES = 10_000
MOST_STREAMED = 1_000
"""Decoding is slow, and a thousand give the mean to about a third of a percent."""


def channel_statistics(part: Part) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure each channel of images or series, or each feature of vectors, over a part.

    Args:
        part: The part to measure: at most 10 000 examples in memory, 1000 streamed ones, evenly
            spread through it.

    Returns:
        Mean and standard deviation of each channel or feature: of bytes in units where 255 is 1
        and at least 1/255, of real numbers in their own units. A constant channel can be divided by
        its deviation, which is 1 where there is none. Of texts there are none.
    """
    if not channels_of(part.modality, part.example_shape):
        return (), ()
    if isinstance(part.examples, StreamedExamples):
        return _of_levels(
            _histograms(part.examples[index][None])
            for index in evenly_spread(len(part), MOST_STREAMED).tolist()
        )
    chosen = part.examples[evenly_spread(len(part), MOST_EXAMPLES)]
    if chosen.dtype != torch.uint8:
        return _of_floats(chosen)
    batches = evaluation_batches(chosen, batch_size=256, device="cpu")
    return _of_levels(_histograms(images) for images, _ in batches)


def _of_levels(
    histograms: Iterable[Int64[Tensor, "c 256"]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation from how often each of the 256 levels occurs."""
    counts = torch.stack(list(histograms)).sum(dim=0)
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts.double() / counts.sum(1, keepdim=True)
    mean = shares @ levels
    std = (shares @ levels.square() - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)
    return tuple(mean.tolist()), tuple(std.tolist())


def _of_floats(
    examples: Float[Tensor, "n columns *rest"],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of real numbers, by their second side."""
    values = examples.double().transpose(0, 1).flatten(1)
    mean, std = values.mean(dim=1), values.std(dim=1, correction=0)
    # What its own type cannot tell from a constant is one: dividing would only enlarge rounding.
    std[std <= 8 * torch.finfo(examples.dtype).eps * mean.abs()] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())


def evenly_spread(count: int, most: int) -> Int64[Tensor, " n"]:
    """At most so many indices, evenly spread from the first on."""
    chosen = min(count, most)
    return torch.arange(chosen) * count // chosen


def _histograms(images: UInt8[Tensor, "n c h w"]) -> Int64[Tensor, "c 256"]:
    """How often each level occurs in each channel."""
    channels = images.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(channel, minlength=256) for channel in channels])
