"""The operations of AutoAugment and RandAugment, each with its own strength for every image.

They are defined on bytes: values here are whole numbers of 0 to 255 in float32, and what comes to
lie between two of them is cut off, as in Pillow and torchvision. Every operation takes any number
of channels; Color takes 3.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from nearfar.standardising import in_float64
from nearfar.views.colour import luma
from nearfar.views.policies import Operation

Bytes = Float32[Tensor, "batch channels height width"]
Strengths = Float32[Tensor, " batch"]

GROUND = 128.0
"""What turns in from outside: grey, as in the published programs."""


def apply_policy(
    views: Float32[Tensor, "batch channels height width"],
    operations: Int64[Tensor, "batch steps"],
    magnitudes: Float32[Tensor, "batch steps"],
) -> Float32[Tensor, "batch channels height width"]:
    """Views of 0 to 1 after each one's own operations, in turn, on bytes.

    Args:
        views: 0 to 1; rounded to bytes first.
        operations: What is done to each, by number.
        magnitudes: How strongly, as `Operation.magnitude` says, with its sign.
    """
    images = (views.contiguous() * 255).round_()
    for step in range(operations.shape[1]):
        for number, operation in _OPERATIONS.items():
            rows = (operations[:, step] == number).nonzero().squeeze(1)
            if len(rows):
                chosen = images.index_select(0, rows)
                images.index_copy_(0, rows, operation(chosen, magnitudes[rows, step]))
    return images.div_(255)


def shear_x(images: Bytes, strength: Strengths) -> Bytes:
    """Each row moved aside by `strength` times its distance from the top edge."""
    half = images.shape[2] / 2
    return _resampled(images, ((1.0, strength, strength * half), (0.0, 1.0, 0.0)))


def shear_y(images: Bytes, strength: Strengths) -> Bytes:
    """Each column moved up by `strength` times its distance from the left edge."""
    half = images.shape[3] / 2
    return _resampled(images, ((1.0, 0.0, 0.0), (strength, 1.0, strength * half)))


def translate_x(images: Bytes, pixels: Strengths) -> Bytes:
    """Moved to the right by whole pixels."""
    return _resampled(images, ((1.0, 0.0, -pixels), (0.0, 1.0, 0.0)))


def translate_y(images: Bytes, pixels: Strengths) -> Bytes:
    """Moved down by whole pixels."""
    return _resampled(images, ((1.0, 0.0, 0.0), (0.0, 1.0, -pixels)))


def rotate(images: Bytes, degrees: Strengths) -> Bytes:
    """Turned counter-clockwise about the centre."""
    radians = torch.deg2rad(in_float64(degrees))
    cosine, sine = (each.float().to(degrees.device) for each in (radians.cos(), radians.sin()))
    return _resampled(images, ((cosine, -sine, 0.0), (sine, cosine, 0.0)))


def brightness(images: Bytes, strength: Strengths) -> Bytes:
    """Every value times `1 + strength`."""
    return (images * _wide(1 + strength)).clamp_(0, 255).floor_()


def color(images: Float32[Tensor, "batch 3 height width"], strength: Strengths) -> Bytes:
    """Away from each pixel's own grey, or towards it where the strength is negative."""
    return _blend(images, luma(images).floor_(), strength)


def contrast(images: Bytes, strength: Strengths) -> Bytes:
    """Away from the image's mean grey, or towards it where the strength is negative."""
    shade = luma(images).floor_() if images.shape[1] == 3 else images
    return _blend(images, shade.mean(dim=(1, 2, 3), keepdim=True), strength)


def sharpness(images: Bytes, strength: Strengths) -> Bytes:
    """Away from the image smoothed, or towards it; the outermost pixels stay as they are."""
    if min(images.shape[2:]) < 3:
        return images
    down = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    inner = images[:, :, 1:-1, 1:-1]
    # A 3 × 3 kernel of ones with a 5 in its middle, over 13.
    smooth = (down[..., :-2] + down[..., 1:-1] + down[..., 2:]).add_(inner, alpha=4)
    smooth = smooth.div_(13).round_()
    sharpened = images.clone()
    sharpened[:, :, 1:-1, 1:-1] -= (smooth - inner) * _wide(strength)
    return sharpened.clamp_(0, 255).floor_()


def posterize(images: Bytes, bits: Strengths) -> Bytes:
    """Only the highest bits of each byte stay."""
    step = _wide(torch.exp2(8 - bits))
    return (images / step).floor_() * step


def solarize(images: Bytes, threshold: Strengths) -> Bytes:
    """What is at least the threshold is inverted."""
    return torch.where(images >= _wide(threshold), 255 - images, images)


def auto_contrast(images: Bytes, _: Strengths) -> Bytes:
    """Each channel stretched from its smallest to its largest value; a flat one stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    scale = (high - low) * (1 / 255)
    flat = scale == 0
    stretched = (images - low.where(~flat, 0)) / scale.where(~flat, 1)
    return stretched.clamp_(0, 255).floor_()


def equalize(images: Bytes, _: Strengths) -> Bytes:
    """Each channel's values spread so that all are about as frequent, by Pillow's rule.

    A channel that has fewer than 255 pixels below its largest value stays.
    """
    flat = images.flatten(0, 1).flatten(1).long()
    pixels = flat.shape[1]
    place = flat + 256 * torch.arange(len(flat), device=flat.device)[:, None]
    histogram = place.flatten().bincount(minlength=256 * len(flat)).view(-1, 256)
    of_largest = histogram.gather(1, flat.amax(dim=1, keepdim=True))
    step = (pixels - of_largest).div(255, rounding_mode="floor")
    below = histogram.cumsum(dim=1) - histogram
    table = (below + step.div(2, rounding_mode="floor")).div(
        step.clamp(min=1), rounding_mode="floor"
    )
    unchanged = torch.arange(256, device=flat.device)
    table = torch.where(step > 0, table.clamp_(0, 255), unchanged).to(images.dtype)
    return table.gather(1, flat).view_as(images)


def invert(images: Bytes, _: Strengths) -> Bytes:
    """255 less every value."""
    return 255 - images


_OPERATIONS: dict[Operation, Callable[[Bytes, Strengths], Bytes]] = {
    Operation.SHEAR_X: shear_x,
    Operation.SHEAR_Y: shear_y,
    Operation.TRANSLATE_X: translate_x,
    Operation.TRANSLATE_Y: translate_y,
    Operation.ROTATE: rotate,
    Operation.BRIGHTNESS: brightness,
    Operation.COLOR: color,
    Operation.CONTRAST: contrast,
    Operation.SHARPNESS: sharpness,
    Operation.POSTERIZE: posterize,
    Operation.SOLARIZE: solarize,
    Operation.AUTO_CONTRAST: auto_contrast,
    Operation.EQUALIZE: equalize,
    Operation.INVERT: invert,
}


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _blend(images: Tensor, other: Tensor, strength: Tensor) -> Tensor:
    """`1 + strength` parts of the images and the rest of the other, as bytes."""
    strength = _wide(strength)
    return (images * (1 + strength) - other * strength).clamp_(0, 255).floor_()


def _resampled(images: Bytes, rows: Sequence[Sequence[Tensor | float]]) -> Bytes:
    """Each pixel of the result is the source's nearest one to where an affine map sends it.

    Args:
        images: The sources.
        rows: Both rows of the map, for positions in pixels from the centre; numbers are the same
            for all images.
    """
    count, _, height, width = images.shape
    like = images.new_zeros(count)
    matrix = torch.stack([torch.stack([value + like for value in row]) for row in rows])
    down, across = (
        torch.arange(side, device=images.device) + (0.5 - side / 2) for side in (height, width)
    )
    x, y = (
        (each[0, :, None, None] * across + each[1, :, None, None] * down[:, None])
        + each[2, :, None, None]
        for each in matrix
    )
    grid = torch.stack((x / (width / 2), y / (height / 2)), dim=3)
    turned = F.grid_sample(images - GROUND, grid, mode="nearest", align_corners=False)
    return turned.add_(GROUND)
