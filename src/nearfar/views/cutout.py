"""Cutout: a square of each view without anything in it (DeVries & Taylor 2017)."""

import torch
from jaxtyping import Float32, Int64
from torch import Tensor


def cut_out(
    views: Float32[Tensor, "batch channels height width"],
    middle: Int64[Tensor, "batch 2"],
    side: int,
    ground: Float32[Tensor, " channels"],
) -> Float32[Tensor, "batch channels height width"]:
    """Views with one square each in one colour.

    Args:
        views: Normalised or not.
        middle: Row and column of each square's middle, in the view; the square may lie partly
            outside, where there is nothing to cut.
        side: Of the square, pixels.
        ground: What stands in it, by channel; its authors normalise first and set it to 0, which is
            the mean colour.
    """
    row_inside, column_inside = (
        _inside(middle[:, axis], side, extent) for axis, extent in enumerate(views.shape[2:])
    )
    square = row_inside[:, None, :, None] & column_inside[:, None, None, :]
    return torch.where(square, ground[:, None, None], views)


def _inside(middle: Tensor, side: int, extent: int) -> Tensor:
    """Which of so many places lie in a stretch about each middle."""
    place = torch.arange(extent, device=middle.device) - (middle - side // 2)[:, None]
    return (place >= 0) & (place < side)
