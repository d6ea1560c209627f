"""The learning rate as a function of the step alone, so that resuming needs no state. No torch."""

import math
from itertools import pairwise
from typing import ClassVar, Literal

from nearfar.errors import SettingError
from nearfar.spec import Choice, Share


class ScheduleSpec(Choice, noun="schedule"):
    """How the learning rate goes: up in a line over the warm-up (Goyal et al. 2017), then down.

    Attributes:
        name: cosine or drops.
    """

    room: ClassVar[str] = "training.schedule."

    warmup_share: Share = 0.1
    """Share of all steps over which the rate rises from 0."""

    def rate_at(
        self, step: int, *, peak: float, total_steps: int, steps_per_epoch: int = 1
    ) -> float:
        """The learning rate of one step; the last step of the warm-up has exactly the peak.

        Args:
            step: The step about to be taken, 0 to `total_steps - 1`.
            peak: Highest learning rate.
            total_steps: Steps of the whole run.
            steps_per_epoch: Steps of an epoch.
        """
        taken, warmup_steps = step + 1, round(self.warmup_share * total_steps)
        if taken <= warmup_steps:
            # The share first: at the last step it is exactly 1, and the rate the peak.
            return peak * (taken / warmup_steps)
        share = (taken - warmup_steps) / (total_steps + 1 - warmup_steps)
        return self._after_warmup(peak, share, step, steps_per_epoch)

    def _after_warmup(self, peak: float, share: float, step: int, steps_per_epoch: int) -> float:
        """The rate after a share, above 0 and below 1, of the steps that follow the warm-up."""
        raise NotImplementedError

    def check_epochs(self, epochs: int) -> None:
        """Refuse a schedule that does not fit into a run of so many epochs.

        Raises:
            SettingError: Naming the setting.
        """

    @property
    def in_words(self) -> str:
        """How the rate falls, for a person."""
        return self.name


class CosineSpec(ScheduleSpec):
    """Half a cosine down to 0 after the last step (Loshchilov & Hutter 2017, no restarts)."""

    name: Literal["cosine"] = "cosine"

    def _after_warmup(self, peak: float, share: float, step: int, steps_per_epoch: int) -> float:  # noqa: ARG002
        return peak * 0.5 * (1.0 + math.cos(math.pi * share))


class DropsSpec(ScheduleSpec):
    """A tenth of the rate after each of some epochs; without any, it stays at its peak."""

    name: Literal["drops"] = "drops"
    epochs: tuple[float, ...] = ()
    """Epochs after which the rate is a tenth of what it was."""

    def _after_warmup(self, peak: float, share: float, step: int, steps_per_epoch: int) -> float:  # noqa: ARG002
        return peak * 0.1 ** sum(step >= round(each * steps_per_epoch) for each in self.epochs)

    def check_epochs(self, epochs: int) -> None:
        """Refuse drops that are out of order, or not between the warm-up and the end."""
        rising = all(a < b for a, b in pairwise((self.warmup_share * epochs, *self.epochs)))
        if not (rising and all(0 < each < epochs for each in self.epochs)):
            raise SettingError(
                f"training.schedule.epochs is {self.epochs}: it must be epochs in rising order, "
                f"after the warm-up and before the end at {epochs}"
            )

    @property
    def in_words(self) -> str:
        """How the rate falls, for a person."""
        if not self.epochs:
            return "constant"
        return f"a tenth after epoch {' and '.join(f'{each:g}' for each in self.epochs)}"
