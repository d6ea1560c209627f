"""Resizing and blurring along one axis: each new row is a weighted sum of a few old ones.

A row's few sources ("taps") and their weights differ from image to image. Summing whole rows by
`embedding_bag` costs a fraction of a product with the matrix that the taps stand for (mostly
zeros), and vectorises over the other axis; columns are rows of the transposed image.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Taps:
    """What each row of a result is the weighted sum of."""

    index: Int64[Tensor, "batch target taps"]
    """Rows of the source."""
    weight: Float32[Tensor, "batch target taps"]
    """Their weights; each row's sum to 1, or less where it lies beyond the image's edge."""

    def __getitem__(self, images: slice) -> "Taps":
        """The taps of some of the images."""
        return Taps(self.index[images], self.weight[images])


def resize_taps(
    start: Int64[Tensor, " batch"],
    length: Int64[Tensor, " batch"],
    *,
    source: int,
    target: int,
    mirrored: Bool[Tensor, " batch"] | None = None,
) -> Taps:
    """Taps that bring a stretch of `source` rows to `target` rows.

    Bilinear, and antialiased where it shrinks: the triangle is widened to the step between target
    rows, as `torch.nn.functional.interpolate(antialias=True)` does. Only the stretch is read; what
    of it lies beyond the image is black.

    Args:
        start: First row of each stretch; below 0 where it begins beyond the image.
        length: Rows of each stretch; 1 or more.
        source: Rows of the whole image.
        target: Rows of the result.
        mirrored: Which results are turned end to end.
    """
    place = torch.arange(target, device=start.device) + 0.5
    place = place.expand(len(start), target)
    if mirrored is not None:
        place = torch.where(mirrored[:, None], target - place, place)
    step = (length / target)[:, None]
    centre = start[:, None] + place * step - 0.5  # 0 is the middle of row 0
    support = step.clamp(min=1)
    first = torch.floor(centre - support).long() + 1
    taps = math.ceil(2 * max(1, source / target))
    index = first[:, :, None] + torch.arange(taps, device=start.device)
    weight = (1 - (index - centre[:, :, None]).abs_() / support[:, :, None]).clamp_(min=0)
    low, high = start[:, None, None], (start + length - 1)[:, None, None]
    weight *= (index >= low) & (index <= high)
    weight /= weight.sum(dim=2, keepdim=True)
    weight *= (index >= 0) & (index < source)
    return Taps(index.clamp(low, high).clamp_(0, source - 1), weight)


def gaussian_kernels(
    sigma: Float32[Tensor, " batch"], radius: int
) -> Float32[Tensor, "batch taps"]:
    """Gaussians cut off at `radius` pixels either way, each of sum 1.

    Args:
        sigma: Standard deviations in pixels, 0 or more; 0 leaves the middle alone.
        radius: Pixels that the kernel reaches either way.
    """
    offset = torch.arange(-radius, radius + 1, device=sigma.device)
    # From a ten-thousandth of a pixel down, all neighbours weigh 0 in float32.
    kernel = torch.exp(-0.5 * (offset / sigma.clamp(min=1e-4)[:, None]).square())
    return kernel / kernel.sum(dim=1, keepdim=True)


def neighbours(side: int, radius: int, device: torch.device) -> Int64[Tensor, "side taps"]:
    """The rows within `radius` of each row; beyond the edge the image is continued by reflection.

    The outermost row is not repeated. `radius` must be less than `side`.
    """
    index = torch.arange(side, device=device)[:, None]
    index = (index + torch.arange(-radius, radius + 1, device=device)).abs_()
    return torch.where(index >= side, 2 * (side - 1) - index, index)


def blur_taps(kernels: Float32[Tensor, "batch taps"], index: Int64[Tensor, "side taps"]) -> Taps:
    """Taps that blur with a kernel an image over the neighbours of each row."""
    count, (side, taps) = len(kernels), index.shape
    return Taps(index.expand(count, -1, -1), kernels[:, None].expand(-1, side, taps))


def along_rows(
    images: Float32[Tensor, "batch channels rows columns"], taps: Taps
) -> Float32[Tensor, "batch channels target columns"]:
    """New rows, each the weighted sum of its taps among the old ones."""
    count, channels, rows, columns = images.shape
    target, number = taps.index.shape[1:]
    first = torch.arange(0, count * channels * rows, rows, device=images.device)
    index = taps.index[:, None] + first.view(count, channels, 1, 1)
    weight = taps.weight[:, None].expand(index.shape).reshape(-1, number)
    summed = F.embedding_bag(
        index.view(-1, number),
        images.reshape(-1, columns),
        per_sample_weights=weight,
        mode="sum",
    )
    return summed.view(count, channels, target, columns)


def along_columns(
    images: Float32[Tensor, "batch channels rows columns"], taps: Taps
) -> Float32[Tensor, "batch channels rows target"]:
    """New columns, each the weighted sum of its taps among the old ones."""
    return along_rows(images.transpose(2, 3), taps).transpose(2, 3)


def rotate(
    images: Float32[Tensor, "batch channels size size"], angle: Float32[Tensor, " batch"]
) -> Float32[Tensor, "batch channels size size"]:
    """Turn each image by its angle; bilinear, and black where it turns in from outside.

    Args:
        images: Square images.
        angle: Degrees, counter-clockwise.
    """
    size = images.shape[-1]
    across, down = turned_positions(angle, size)
    grid = torch.stack((across, down), dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def turned_positions(
    angle: Float32[Tensor, " batch"], size: int
) -> tuple[Float32[Tensor, "batch size size"], Float32[Tensor, "batch size size"]]:
    """Where each pixel of a turned view comes from: across and down, -1 to 1 from edge to edge."""
    axis = (torch.arange(size, device=angle.device) + 0.5) * (2 / size) - 1
    radians = torch.deg2rad(angle)[:, None, None]
    cosine, sine = torch.cos(radians), torch.sin(radians)
    return cosine * axis - sine * axis[:, None], sine * axis + cosine * axis[:, None]
