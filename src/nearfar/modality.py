"""The kinds of examples there are, told apart by the shape of one. Imports nothing heavy."""

from collections.abc import Sequence
from typing import Literal

Modality = Literal["images", "series", "vectors"]
"""Images `(channels, height, width)`, series `(channels, steps)`, vectors `(features,)`."""

ONE: dict[Modality, str] = {"images": "image", "series": "series", "vectors": "vector"}
"""What one example is called."""

_BY_SIDES: dict[int, Modality] = {1: "vectors", 2: "series", 3: "images"}


def modality_of(shape: Sequence[int]) -> Modality:
    """The kind of an example of this shape.

    Args:
        shape: Of one example, without the batch: 1 to 3 sides.
    """
    return _BY_SIDES[len(shape)]


def in_words(shape: Sequence[int]) -> str:
    """Examples of this shape as a message names them: "series of 12 channels × 29 steps".

    Args:
        shape: Of one example, without the batch: 1 to 3 sides.
    """
    modality = modality_of(shape)
    if modality == "vectors":
        return f"vectors of {shape[0]} features"
    if modality == "series":
        return f"series of {shape[0]} channels × {shape[1]} steps"
    return f"images of {shape[0]} channels, {shape[1]}×{shape[2]}"
