"""The kinds of examples there are, and what is made for one of them. Imports nothing heavy.

A source states what its examples are, an encoder and views what they take: one word, equal where
they fit. No shape tells it: a spectrogram has as many sides as an image.
"""

from collections.abc import Sequence
from typing import ClassVar

from nearfar.errors import SettingError
from nearfar.spec import Choice

Modality = str
"""images `(channels, height, width)`, series `(channels, steps)`, vectors `(features,)`, texts
`(bytes,)`, or what else a source, views and an encoder state."""

_SIDES = {
    "images": ("channels", "height", "width"),
    "series": ("channels", "steps"),
    "vectors": ("features",),
    "texts": ("bytes",),
}
_ONE = {"images": "image", "series": "series", "vectors": "vector", "texts": "text"}


def one(modality: Modality) -> str:
    """What one example is called."""
    return _ONE.get(modality, "example")


def channels_of(modality: Modality, shape: Sequence[int]) -> int:
    """How many means and deviations normalise such examples: one a channel or feature; texts none.

    Args:
        modality: What they are.
        shape: Of one example, without the batch.
    """
    return 0 if modality == "texts" else shape[0]


def fixed_sides(modality: Modality, shape: Sequence[int]) -> int:
    """How many sides of an example must be an encoder's; it brings the others to its own."""
    return {"images": 1, "texts": 0}.get(modality, len(shape))


def in_words(modality: Modality, shape: Sequence[int]) -> str:
    """Examples as a message names them: "series of 12 channels × 29 steps".

    Args:
        modality: What they are.
        shape: Of one example, without the batch.
    """
    sides = _SIDES.get(modality)
    if sides is None or len(shape) != len(sides):
        return f"{modality} of shape {tuple(shape)}"
    counted = [
        f"{size} {side.removesuffix('s') if size == 1 else side}"
        for size, side in zip(shape, sides, strict=True)
    ]
    if modality == "images":
        return f"images of {counted[0]}, {shape[1]}×{shape[2]}"
    return f"{modality} of " + " × ".join(counted)


class ForExamples(Choice):
    """What is made for one kind of examples.

    Attributes:
        takes: What they are.
    """

    takes: ClassVar[Modality] = "images"

    @classmethod
    def fitting(cls, modality: Modality) -> list[str]:
        """The names of those that take such examples."""
        return [name for name, spec in cls.known().items() if spec.takes == modality]

    def require_modality(self, modality: Modality) -> None:
        """Refuse other examples than it takes.

        Raises:
            SettingError: Naming what takes them.
        """
        if modality != self.takes:
            others = self.fitting(modality)
            choose = f"choose {', '.join(others)}" if others else f"no {self.noun} takes them"
            raise SettingError(
                f"{self.room}name {self.name} is for {self.takes}, and the data are {modality}: "
                f"{choose}"
            )

    def require_sides(self, shape: Sequence[int]) -> None:
        """Refuse a shape that no example of its kind has.

        Args:
            shape: Of one example, without the batch.
        """
        sides = _SIDES.get(self.takes, shape)
        if len(shape) != len(sides):
            raise SettingError(
                f"{self.room}name {self.name} takes {self.takes} ({', '.join(map(str, sides))}), "
                f"and not a shape of {tuple(shape)}"
            )
