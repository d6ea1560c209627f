"""The factor that lifts gradients of float16 above its smallest numbers, and how it moves."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FIRST = 65536.0
"""What it begins with, `torch.amp.GradScaler`'s."""
LEAST = 1.0
"""It falls no further: a step that is not finite then has another reason."""
GROWTH, BACKOFF, PATIENCE = 2.0, 0.5, 2000
"""Its factors, and the sound steps in a row after which it grows."""


class LossScale:
    """Loss scaling (Micikevicius et al. 2018), by the rule of `torch.amp.GradScaler`.

    It is halved by each step whose loss or gradient is not finite, and doubled after 2000 sound
    steps in a row. Unlike there, it does not fall below 1. All of it is on the device, and nothing
    waits for it.

    Args:
        device: Where the run computes.

    Attributes:
        scale: What the loss is multiplied by, above 0.
        skipped: Steps that were not sound so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.scale = torch.tensor(FIRST, device=device)
        self.skipped = torch.zeros((), dtype=torch.int32, device=device)
        self._sound_in_a_row = torch.zeros((), dtype=torch.int32, device=device)

    @property
    def is_least(self) -> Bool[Tensor, ""]:
        """Whether it can fall no further."""
        return self.scale <= LEAST

    @property
    def figures(self) -> Float[Tensor, " 2"]:
        """Scale and steps skipped so far, in one tensor on the device."""
        return torch.stack([self.scale, self.skipped.float()])

    def move(self, skipped: Bool[Tensor, ""]) -> None:
        """After a step.

        Args:
            skipped: Whether it was not sound.
        """
        row = self._sound_in_a_row + 1
        grown = self.scale * GROWTH
        grows = (row >= PATIENCE) & grown.isfinite()
        scale = torch.where(grows, grown, self.scale)
        scale = torch.where(skipped, (self.scale * BACKOFF).clamp(min=LEAST), scale)
        self.scale.copy_(scale)
        self._sound_in_a_row.copy_(torch.where(skipped | (row >= PATIENCE), 0, row))
        self.skipped += skipped

    def state_dict(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {
            "scale": self.scale,
            "skipped": self.skipped,
            "sound_in_a_row": self._sound_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what `state_dict` gave."""
        for name, held in self.state_dict().items():
            held.copy_(state[name])
