"""Crops, mirrors and blurs as small matrices: one for the rows of an image, one for its columns."""

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor


def resize_matrices(
    start: Int64[Tensor, " batch"],
    length: Int64[Tensor, " batch"],
    *,
    source: int,
    target: int,
    mirrored: Bool[Tensor, " batch"] | None = None,
) -> Float32[Tensor, "batch target source"]:
    """Matrices that bring a stretch of each line of `source` pixels to `target` pixels.

    Bilinear, and antialiased where it shrinks: the triangle is widened to the step between target
    pixels, as `torch.nn.functional.interpolate(antialias=True)` does. Only pixels of the stretch
    are read; rows sum to 1.

    Args:
        start: First pixel of each stretch.
        length: Pixels of each stretch; 1 or more.
        source: Pixels of the whole line.
        target: Pixels of the result.
        mirrored: Which results are turned end to end.
    """
    step = (length / target)[:, None]
    index = torch.arange(target, device=start.device) + 0.5
    index = index.expand(len(start), target)
    if mirrored is not None:
        index = torch.where(mirrored[:, None], target - index, index)
    # Position of each target pixel's centre, in source pixels from the middle of pixel 0.
    centre = start[:, None] + index * step - 0.5
    pixel = torch.arange(source, device=start.device, dtype=torch.float32)
    distance = (pixel - centre[:, :, None]).abs_()
    weights = (1 - distance / step.clamp(min=1)[:, :, None]).clamp_(min=0)
    inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])
    weights *= inside[:, None, :]
    return weights / weights.sum(dim=2, keepdim=True)


def blur_matrices(
    sigma: Float32[Tensor, " batch"], *, side: int, radius: int
) -> Float32[Tensor, "batch side side"]:
    """Matrices that blur a line of `side` pixels with a Gaussian cut off at `radius` pixels.

    The line is continued by reflection, the outermost pixel not repeated; rows sum to 1.

    Args:
        sigma: Standard deviation of each Gaussian in pixels; above 0.
        side: Pixels of the line; more than `radius`.
        radius: Pixels that the kernel reaches either way.
    """
    offset = torch.arange(-radius, radius + 1, device=sigma.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offset / sigma[:, None]).square())
    kernel /= kernel.sum(dim=1, keepdim=True)
    rows = torch.arange(side, device=sigma.device)[:, None]
    columns = (rows + offset.long()).abs()
    columns = torch.where(columns >= side, 2 * (side - 1) - columns, columns)
    matrices = torch.zeros(len(sigma), side * side, device=sigma.device)
    flat = (rows * side + columns).flatten()
    matrices.index_add_(1, flat, kernel.repeat(1, side))
    return matrices.view(-1, side, side)
