"""The random choices behind a batch of views, the same for every implementation."""

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from nearfar.views.parameters import ViewParameters
from nearfar.views.policy_draws import draw_policy

CROP_TRIES = 10

# Columns of the one table of uniform numbers that every choice is made from. One row is one image
# and no choice reads another's column, so a changed setting leaves the other choices as they were.
_AREA = slice(0, CROP_TRIES)
_RATIO = slice(CROP_TRIES, 2 * CROP_TRIES)
(
    _TOP,
    _LEFT,
    _FLIP,
    _ANGLE,
    _JITTER,
    _BRIGHTNESS,
    _CONTRAST,
    _SATURATION,
    _HUE,
    _GREY,
    _BLUR,
    _SIGMA,
    _SOLARIZE,
) = range(2 * CROP_TRIES, 2 * CROP_TRIES + 13)
_ORDER = slice(2 * CROP_TRIES + 13, 2 * CROP_TRIES + 17)
_COLUMNS = 2 * CROP_TRIES + 17


@dataclass(frozen=True)
class Draws:
    """What is done to each image of a batch."""

    top: Int64[Tensor, " batch"]
    """First row of the crop; below 0 where it begins beyond the image's edge."""
    left: Int64[Tensor, " batch"]
    """First column of the crop; likewise."""
    height: Int64[Tensor, " batch"]
    """Rows of the crop; 1 or more."""
    width: Int64[Tensor, " batch"]
    """Columns of the crop; 1 or more."""
    flip: Bool[Tensor, " batch"]
    """Mirrored left to right?"""
    angle: Float32[Tensor, " batch"]
    """Rotation, degrees, counter-clockwise."""
    brightness: Float32[Tensor, " batch"]
    """Factor; 1 changes nothing."""
    contrast: Float32[Tensor, " batch"]
    """Factor; 1 changes nothing."""
    saturation: Float32[Tensor, " batch"]
    """Factor; 1 changes nothing."""
    hue: Float32[Tensor, " batch"]
    """Shift as a share of the colour circle; 0 changes nothing."""
    order: Int64[Tensor, "batch 4"]
    """Which comes first to last: 0 brightness, 1 contrast, 2 saturation, 3 hue."""
    grey: Bool[Tensor, " batch"]
    """Turned grey?"""
    sigma: Float32[Tensor, " batch"]
    """Standard deviation of the blur, pixels of the view; 0 is no blur."""
    solarize: Bool[Tensor, " batch"]
    """Solarized?"""
    operations: Int64[Tensor, "batch steps"]
    """The policy's operations, first to last, by their `Operation`."""
    magnitudes: Float32[Tensor, "batch steps"]
    """How strong each of them is."""
    hole: Int64[Tensor, "batch 2"]
    """Row and column of the middle of Cutout's square."""

    def __getitem__(self, rows: slice | Tensor) -> "Draws":
        """The choices of some of the images."""
        return Draws(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def to(self, device: torch.device) -> "Draws":
        """The same choices on another device."""
        return Draws(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def draw(
    parameters: ViewParameters,
    count: int,
    height: int,
    width: int,
    generator: torch.Generator,
    channels: int = 3,
) -> Draws:
    """Choose, for each of `count` images on its own, what its view will be.

    Args:
        parameters: The distributions to draw from.
        count: Number of images.
        height: Rows of the images.
        width: Columns of the images.
        generator: The only source of randomness; it moves on by the same amount whatever the
            parameters are, and by another one where there is a policy or Cutout. The draws are made
            on its device.
        channels: Of the images.
    """
    uniform = torch.rand(count, _COLUMNS, generator=generator, device=generator.device)
    top, left, rows, columns = _crop_boxes(parameters, uniform, height, width)
    jittered = uniform[:, _JITTER] < parameters.jitter

    def factor(column: int, spread: float) -> Tensor:
        low, high = max(0.0, 1.0 - spread), 1.0 + spread
        return torch.where(jittered, low + (high - low) * uniform[:, column], 1.0)

    blur = parameters.blur if parameters.blur_radius else 0.0
    low, high = parameters.blur_sigma
    sigma = low + (high - low) * uniform[:, _SIGMA]
    operations, magnitudes, hole = draw_policy(parameters, count, channels, generator)
    return Draws(
        top=top,
        left=left,
        height=rows,
        width=columns,
        flip=uniform[:, _FLIP] < parameters.flip,
        angle=(2 * uniform[:, _ANGLE] - 1) * parameters.rotation,
        brightness=factor(_BRIGHTNESS, parameters.brightness),
        contrast=factor(_CONTRAST, parameters.contrast),
        saturation=factor(_SATURATION, parameters.saturation),
        hue=torch.where(jittered, (2 * uniform[:, _HUE] - 1) * parameters.hue, 0.0),
        order=uniform[:, _ORDER].argsort(dim=1),
        grey=uniform[:, _GREY] < parameters.grey,
        sigma=torch.where(uniform[:, _BLUR] < blur, sigma, 0.0),
        solarize=uniform[:, _SOLARIZE] < parameters.solarize,
        operations=operations,
        magnitudes=magnitudes,
        hole=hole,
    )


def _crop_boxes(
    parameters: ViewParameters, uniform: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, rows and columns of each crop: the first of ten tries that fits, or the fallback.

    The distribution of torchvision's RandomResizedCrop, with all tries made at once.
    """
    smallest, largest = parameters.crop_scale
    area = height * width * (smallest + (largest - smallest) * uniform[:, _AREA])
    low, high = (math.log(ratio) for ratio in parameters.crop_ratio)
    ratio = torch.exp(low + (high - low) * uniform[:, _RATIO])
    rows = torch.round(torch.sqrt(area / ratio)).long()
    columns = torch.round(torch.sqrt(area * ratio)).long()
    fits = (columns > 0) & (columns <= width) & (rows > 0) & (rows <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    rows, columns = rows.gather(1, first).squeeze(1), columns.gather(1, first).squeeze(1)
    # A crop may lie so far beyond the edges.
    above, beside = (round(parameters.padding * side) for side in (height, width))
    top = (uniform[:, _TOP] * (height - rows + 2 * above + 1)).long() - above
    left = (uniform[:, _LEFT] * (width - columns + 2 * beside + 1)).long() - beside
    found = fits.any(dim=1)
    fallback = _fallback_box(parameters.crop_ratio, height, width)
    moved = (
        fallback[0] + (uniform[:, _TOP] * (2 * above + 1)).long() - above,
        fallback[1] + (uniform[:, _LEFT] * (2 * beside + 1)).long() - beside,
    )
    top, left, rows, columns = (
        torch.where(found, drawn, central)
        for drawn, central in zip((top, left, rows, columns), (*moved, *fallback[2:]), strict=True)
    )
    return top, left, rows, columns


def _fallback_box(ratio: tuple[float, float], height: int, width: int) -> tuple[int, int, int, int]:
    """The largest central crop of an allowed ratio, for when no try fits."""
    if width / height < ratio[0]:
        rows, columns = min(height, max(1, round(width / ratio[0]))), width
    elif width / height > ratio[1]:
        rows, columns = height, min(width, max(1, round(height * ratio[1])))
    else:
        rows, columns = height, width
    return (height - rows) // 2, (width - columns) // 2, rows, columns
