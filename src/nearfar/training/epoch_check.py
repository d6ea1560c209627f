"""The check at the end of an epoch: what is trained is judged and logged, and may end there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nearfar.methods.method import Method
from nearfar.training.metrics_log import MetricsLog
from nearfar.training.online_probe import OnlineProbe
from nearfar.training.progress import TrainingProgress

AfterCheck = Callable[[int, Mapping[str, Any]], str | None]
"""Takes the epochs done and what their check found; gives a sentence where the run is to end."""


@dataclass(frozen=True)
class EpochCheck:
    """Judges the encoder as it is now, and logs it. Called on the first rank alone.

    Attributes:
        knn: Judges an encoder in eval mode; given the probe's shares too, where there is a probe.
        method: What is trained.
        judged: Gives the encoder that is judged, as it is now.
        probe: Learns the labels beside the run.
        metrics: The log; None on other ranks.
        progress: Shows the accuracy.
        after_check: Is told what was found.
    """

    knn: Callable[..., Mapping[str, Any]]
    method: Method
    judged: Callable[[], nn.Module]
    probe: OnlineProbe | None
    metrics: MetricsLog | None
    progress: TrainingProgress
    after_check: AfterCheck | None

    def __call__(self, step: int, epochs: int) -> tuple[float, str | None]:
        """Judge after so many steps and epochs.

        Returns:
            The accuracy, and why the run is to end here, if it is.
        """
        assert self.metrics is not None
        self.method.train(False)
        found = self.knn(self.judged(), *([] if self.probe is None else [self.probe.shares]))
        self.metrics.write("knn", step, found)
        self.progress.knn(found["top1"])
        told = None if self.after_check is None else self.after_check(epochs, found)
        if told is not None:
            self.metrics.write("pruned", step, {"told": told})
        return found["top1"], told
