"""What torchvision makes of operations that nearfar has drawn."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from nearfar.views.policies import Operation

_THEIRS = v2.AutoAugment(fill=128)
NAMES = {each: each.name.title().replace("_", "") for each in Operation}


def by_torchvision(image: Tensor, operation: int, magnitude: float) -> Tensor:
    """One image of bytes after one operation, by torchvision's functions."""
    if operation == Operation.SOLARIZE:
        magnitude /= 255
    return _THEIRS._apply_image_or_video_transform(
        image, NAMES[Operation(operation)], magnitude, v2.InterpolationMode.NEAREST, _THEIRS._fill
    )


def after_policy(view: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """A view of 0 to 1 after its own operations, on bytes; untouched where there are none."""
    if not len(operations):
        return view
    view = (view * 255).round().to(torch.uint8)
    for operation, magnitude in zip(operations.tolist(), magnitudes.tolist(), strict=True):
        view = by_torchvision(view, operation, magnitude)
    return view / 255
