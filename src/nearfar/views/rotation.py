"""Rotation about the centre of a view."""

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F


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
