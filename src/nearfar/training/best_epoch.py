"""The weights of the epoch that the kNN check found best: they are kept beside those trained on."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nearfar.methods.method import Method
from nearfar.training.weight_average import WeightAverage, lasting_parts


class BestEpoch:
    """What outlives the training, as it was after the epoch with the best check.

    A checkpoint holds it, so that no kill and no checkpoint that is removed takes it away. Of
    epochs with equal checks the earliest stays.

    Args:
        method: Its encoder, its projection head and its classifier are kept, where it has them.
        average: What is judged in place of the weights themselves, where there is one.

    Attributes:
        figures: `epoch` that is kept, from 1, its check `top1`, and that of the last epoch that was
            checked, `last_top1`; empty before the first check.
    """

    def __init__(self, method: Method, average: WeightAverage | None) -> None:
        self._parts = lasting_parts(method)
        self._judged = self._parts if average is None else average
        self._weights: dict[str, Tensor] = {}
        self.figures: dict[str, Any] = {}

    def see(self, epoch: int, top1: float) -> None:
        """Keep what was just judged, if no epoch before was as good.

        Args:
            epoch: Counted from 1.
            top1: What its check gave.
        """
        if not self._weights or top1 > self.figures["top1"]:
            # On the CPU: they are needed once, and a GPU's memory is short.
            self._weights = {
                name: value.detach().cpu().clone()
                for name, value in self._judged.state_dict().items()
            }
            self.figures = {"epoch": epoch, "top1": top1}
        self.figures["last_top1"] = top1

    def state_dict(self) -> dict[str, Tensor]:
        """The weights that are kept, by name; none before the first check."""
        return dict(self._weights)

    def load(self, weights: Mapping[str, Tensor], figures: Mapping[str, Any]) -> None:
        """Put back what `state_dict` and `figures` gave."""
        self._weights, self.figures = dict(weights), dict(figures)

    def put_in_place(self) -> None:
        """Give the method the weights that are kept, when training is over."""
        self._parts.load_state_dict(self._weights)
