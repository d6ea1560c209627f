"""Examples as the page shows them: pictures, series drawn, texts in words, vectors in numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nearfar.data.source import Part, choose
from nearfar.evaluation.pictures import PICTURED, thumbnails
from nearfar.report.pictures import line_plot, picture

_LOOKED_AT = 200
"""Series by which the scale of all plots is chosen."""
_NUMBERS = 6
"""Values of a vector that are shown."""


@dataclass(frozen=True)
class Sights:
    """Draws examples of one kind, series on one scale.

    Attributes:
        lowest: Of series, for each channel the value at the foot of a plot.
        highest: And that at its head.
    """

    lowest: np.ndarray | None = None
    highest: np.ndarray | None = None

    @classmethod
    def fitting(cls, part: Part) -> "Sights":
        """For examples as those of a part."""
        if part.modality != "series":
            return cls()
        rows = torch.linspace(0, len(part) - 1, min(len(part), _LOOKED_AT)).round().long()
        lowest, highest = np.percentile(thumbnails(choose(part, rows)), (0.5, 99.5), axis=(0, 2))
        return cls(lowest, highest)

    def of(self, part: Part) -> list[dict[str, Any]]:
        """For each example of a small part its picture (`uri`) or its `words`.

        Args:
            part: Of the kind that these fit.
        """
        if part.modality not in PICTURED:
            return [{"words": _numbers(part.examples[row])} for row in range(len(part))]
        drawn = thumbnails(part)
        if part.modality == "texts":
            return [{"words": words or "(empty)"} for words in drawn.tolist()]
        if self.lowest is not None and self.highest is not None:
            drawn = np.stack([line_plot(each, self.lowest, self.highest) for each in drawn])
        small = max(drawn.shape[1:3]) <= 40
        return [{"uri": picture(each), "pixels": small} for each in drawn]


def _numbers(example: torch.Tensor) -> str:
    """The first values of what has no picture."""
    values = example.flatten()
    shown = ", ".join(f"{value:.3g}" for value in values[:_NUMBERS].tolist())
    return shown + (", …" if len(values) > _NUMBERS else "")
