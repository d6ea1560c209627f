"""Examples brought to mean 0 and deviation 1 in float64, where a large offset costs no digits."""

from jaxtyping import Float32, Float64, Num
from torch import Tensor


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
        mean: Of each channel or feature, on the device of the examples.
        std: Deviation of each, likewise; above 0.
    """
    sides = (-1,) + (1,) * (examples.ndim - 2)
    return ((examples.double() - mean.view(sides)) / std.view(sides)).float()
