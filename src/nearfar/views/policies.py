"""AutoAugment's and RandAugment's operations, how strong they are, and the tables that choose them.

AutoAugment: Cubuk et al. 2019, appendix, tables 7 and 9. RandAugment: Cubuk et al. 2020. Imports
nothing heavy.
"""

from enum import IntEnum
from typing import Literal

Policy = Literal["none", "autoaugment-cifar10", "autoaugment-imagenet", "randaugment"]
"""Which policy chooses operations for an image."""

HIGHEST_LEVEL = 30
"""RandAugment's magnitude goes from 0 to this; AutoAugment's levels from 0 to 9."""
_HIGHEST_IN_TABLES = 9
_SUBPOLICY_STEPS = 2


class Operation(IntEnum):
    """What may be done to an image, by the number that stands in draws."""

    IDENTITY = 0
    SHEAR_X = 1
    SHEAR_Y = 2
    TRANSLATE_X = 3
    TRANSLATE_Y = 4
    ROTATE = 5
    BRIGHTNESS = 6
    COLOR = 7
    CONTRAST = 8
    SHARPNESS = 9
    POSTERIZE = 10
    SOLARIZE = 11
    AUTO_CONTRAST = 12
    EQUALIZE = 13
    INVERT = 14

    @property
    def signed(self) -> bool:
        """Whether it goes either way, each half of the time."""
        return Operation.SHEAR_X <= self <= Operation.SHARPNESS

    def magnitude(self, level: int, highest: int, side: int) -> float:
        """How strong it is, in its own unit.

        Args:
            level: 0 to `highest`.
            highest: The level at full strength.
            side: Of the image, pixels.

        Returns:
            Pixels aside by pixel (shear); whole pixels (translation); degrees; what is added to a
            factor of 1; bits that stay (posterize); the least value that is inverted (solarize).
            0 where there is nothing to choose.
        """
        share = level / highest
        if self in (Operation.TRANSLATE_X, Operation.TRANSLATE_Y):
            return float(int(150 / 331 * side * share))
        if self in (Operation.SHEAR_X, Operation.SHEAR_Y):
            return 0.3 * share
        if self is Operation.ROTATE:
            return 30 * share
        if Operation.BRIGHTNESS <= self <= Operation.SHARPNESS:
            return 0.9 * share
        if self is Operation.POSTERIZE:
            return float(round(8 - 4 * share))
        return 255 * (highest - level) / highest if self is Operation.SOLARIZE else 0.0


RANDAUGMENT = tuple(each for each in Operation if each is not Operation.INVERT)
"""The 14 among which RandAugment chooses, each as likely."""

Step = tuple[Operation, float, int]
"""An operation, its probability and its level, 0 to 9; 0 where it has none."""


def _table(text: str) -> tuple[tuple[Step, ...], ...]:
    """Sub-policies from lines of two operations, each with its probability and its level."""
    found = []
    for line in text.strip().splitlines():
        words = line.split()
        found.append(
            tuple(
                (Operation[words[place]], float(words[place + 1]), int(words[place + 2]))
                for place in range(0, 3 * _SUBPOLICY_STEPS, 3)
            )
        )
    return tuple(found)


AUTOAUGMENT: dict[str, tuple[tuple[Step, ...], ...]] = {
    "autoaugment-cifar10": _table(
        """
        INVERT        0.1 0   CONTRAST      0.2 6
        ROTATE        0.7 2   TRANSLATE_X   0.3 9
        SHARPNESS     0.8 1   SHARPNESS     0.9 3
        SHEAR_Y       0.5 8   TRANSLATE_Y   0.7 9
        AUTO_CONTRAST 0.5 0   EQUALIZE      0.9 0
        SHEAR_Y       0.2 7   POSTERIZE     0.3 7
        COLOR         0.4 3   BRIGHTNESS    0.6 7
        SHARPNESS     0.3 9   BRIGHTNESS    0.7 9
        EQUALIZE      0.6 0   EQUALIZE      0.5 0
        CONTRAST      0.6 7   SHARPNESS     0.6 5
        COLOR         0.7 7   TRANSLATE_X   0.5 8
        EQUALIZE      0.3 0   AUTO_CONTRAST 0.4 0
        TRANSLATE_Y   0.4 3   SHARPNESS     0.2 6
        BRIGHTNESS    0.9 6   COLOR         0.2 8
        SOLARIZE      0.5 2   INVERT        0.0 0
        EQUALIZE      0.2 0   AUTO_CONTRAST 0.6 0
        EQUALIZE      0.2 0   EQUALIZE      0.6 0
        COLOR         0.9 9   EQUALIZE      0.6 0
        AUTO_CONTRAST 0.8 0   SOLARIZE      0.2 8
        BRIGHTNESS    0.1 3   COLOR         0.7 0
        SOLARIZE      0.4 5   AUTO_CONTRAST 0.9 0
        TRANSLATE_Y   0.9 9   TRANSLATE_Y   0.7 9
        AUTO_CONTRAST 0.9 0   SOLARIZE      0.8 3
        EQUALIZE      0.8 0   INVERT        0.1 0
        TRANSLATE_Y   0.7 9   AUTO_CONTRAST 0.9 0
        """
    ),
    "autoaugment-imagenet": _table(
        """
        POSTERIZE     0.4 8   ROTATE        0.6 9
        SOLARIZE      0.6 5   AUTO_CONTRAST 0.6 0
        EQUALIZE      0.8 0   EQUALIZE      0.6 0
        POSTERIZE     0.6 7   POSTERIZE     0.6 6
        EQUALIZE      0.4 0   SOLARIZE      0.2 4
        EQUALIZE      0.4 0   ROTATE        0.8 8
        SOLARIZE      0.6 3   EQUALIZE      0.6 0
        POSTERIZE     0.8 5   EQUALIZE      1.0 0
        ROTATE        0.2 3   SOLARIZE      0.6 8
        EQUALIZE      0.6 0   POSTERIZE     0.4 6
        ROTATE        0.8 8   COLOR         0.4 0
        ROTATE        0.4 9   EQUALIZE      0.6 0
        EQUALIZE      0.0 0   EQUALIZE      0.8 0
        INVERT        0.6 0   EQUALIZE      1.0 0
        COLOR         0.6 4   CONTRAST      1.0 8
        ROTATE        0.8 8   COLOR         1.0 2
        COLOR         0.8 8   SOLARIZE      0.8 7
        SHARPNESS     0.4 7   INVERT        0.6 0
        SHEAR_X       0.6 5   EQUALIZE      1.0 0
        COLOR         0.4 0   EQUALIZE      0.6 0
        EQUALIZE      0.4 0   SOLARIZE      0.2 4
        SOLARIZE      0.6 5   AUTO_CONTRAST 0.6 0
        INVERT        0.6 0   EQUALIZE      1.0 0
        COLOR         0.6 4   CONTRAST      1.0 8
        EQUALIZE      0.8 0   EQUALIZE      0.6 0
        """
    ),
}
"""Each table's 25 sub-policies of two operations; each sub-policy is as likely."""


def steps_of(policy: Policy, operations: int) -> int:
    """How many operations an image passes.

    Args:
        policy: Which.
        operations: RandAugment's.
    """
    if policy == "none":
        return 0
    return operations if policy == "randaugment" else _SUBPOLICY_STEPS


def step_magnitude(step: Step, side: int) -> float:
    """How strong an operation of a table is on an image of a side in pixels."""
    operation, _, level = step
    return operation.magnitude(level, _HIGHEST_IN_TABLES, side)
