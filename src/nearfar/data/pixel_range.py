"""Images of any numeric type as bytes, by the range of values that was seen first."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

_MOST_OUTSIDE = 0.05
"""Share of values beyond the range above which they are most likely in other units."""
_LEAST_SPAN = 0.02
"""Share of the range below which values are most likely in other units."""


@dataclass(frozen=True)
class PixelRange:
    """What became 0 and 255.

    Attributes:
        kind: `uint8`, `whole numbers` or `floats`: numbers of another kind are in other units, as
            bytes of 0 to 255 beside floats of 0 to 1.
        low: Lowest value that was seen; 0 of bytes, which are taken as they are.
        high: Highest, or 255.
    """

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, values: ndarray) -> "PixelRange":
        """The range of some images."""
        if values.dtype == np.uint8:
            return cls("uint8", 0.0, 255.0)
        return cls(_kind(values), float(values.min()), float(values.max()))

    def to_bytes(self, values: ndarray) -> UInt8[ndarray, "..."]:
        """Images as uint8, what lies outside the range clipped.

        Warns where many values lie outside, or all of them within a small part of the range.

        Args:
            values: Finite numbers of the kind that was seen.

        Raises:
            ValueError: They are of another kind.
        """
        kind = _kind(values)
        if kind != self.kind:
            raise ValueError(
                f"X holds {kind}, and fit saw {self.kind} of {self.low:g} to {self.high:g}: give "
                "images of the type and the units of fit"
                + (", (255 * X).round().astype('uint8') of floats of 0 to 1" * (kind == "floats"))
            )
        if kind == "uint8":
            return values
        self._warn_of_other_units(values)
        scale = 255.0 / (self.high - self.low) if self.high > self.low else 0.0
        scaled = np.clip((values.astype(np.float64) - self.low) * scale, 0, 255)
        return np.rint(scaled).astype(np.uint8)

    def _warn_of_other_units(self, values: ndarray) -> None:
        """Say where the values look as if they were scaled otherwise than those of fit."""
        low, high = float(values.min()), float(values.max())
        outside = float(((values < self.low) | (values > self.high)).mean())
        if outside > _MOST_OUTSIDE or 0 < high - low < _LEAST_SPAN * (self.high - self.low):
            warnings.warn(
                f"X holds values of {low:g} to {high:g}, and fit saw {self.low:g} to "
                f"{self.high:g} ({outside:.0%} of the values are clipped): are the units the same?",
                UserWarning,
                stacklevel=4,
            )


def _kind(values: ndarray) -> str:
    """What the numbers are, for a person."""
    if values.dtype == np.uint8:
        return "uint8"
    return "floats" if values.dtype.kind == "f" else "whole numbers"
