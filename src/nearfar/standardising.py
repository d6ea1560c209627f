"""Examples brought to mean 0 and deviation 1 in float64, where a large offset costs no digits."""

from jaxtyping import Float32, Float64, Num
from torch import Tensor

NO_FLOAT64 = "mps"
"""The type of device that knows no float64: Apple's GPUs."""


def in_float64(tensor: Tensor) -> Tensor:
    """In float64, where it is; on the CPU where its device knows none."""
    return tensor.cpu().double() if tensor.device.type == NO_FLOAT64 else tensor.double()


def standardised(
    examples: Num[Tensor, "batch ..."],
    mean: Float64[Tensor, " columns"],
    std: Float64[Tensor, " columns"],
) -> Float32[Tensor, "batch ..."]:
    """Series or vectors less their mean, over their deviation, computed in float64.

    A time stamp in milliseconds is near 2·10¹², where float32 tells apart what lies 131,072 apart:
    only what is left after the mean is subtracted fits into float32.

    Args:
        examples: `(batch, channels, steps)` or `(batch, features)`.
        mean: Of each channel or feature, on the CPU.
        std: Deviation of each, likewise; above 0.
    """
    sides = (-1,) + (1,) * (examples.ndim - 2)
    mean, std = mean.view(sides), std.view(sides)
    if examples.device.type == NO_FLOAT64:
        return in_two_parts(examples, mean, std)
    mean, std = (each.to(examples.device, non_blocking=True) for each in (mean, std))
    return ((examples.double() - mean) / std).float()


def in_two_parts(
    examples: Float32[Tensor, "batch ..."],
    mean: Float64[Tensor, "..."],
    std: Float64[Tensor, "..."],
) -> Float32[Tensor, "batch ..."]:
    """The same in float32 alone: of a mean its float32 is taken off first, then what that lacks.

    The first difference is exact where an example is between half the mean and twice the mean
    (Sterbenz 1974), so that an offset costs no digits here either.

    Args:
        examples: On any device.
        mean: On the CPU, of a shape that can be subtracted.
        std: Likewise; above 0.
    """
    coarse = mean.float()
    rest = (mean - coarse.double()).float()
    coarse, rest, std = (each.to(examples.device) for each in (coarse, rest, std.float()))
    return ((examples - coarse) - rest) / std
