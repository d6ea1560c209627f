"""Where a method lies while it is trained: on its device, the same on every rank, whole or not."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from nearfar.methods.method import Method
from nearfar.training.averaging import StepAverage
from nearfar.training.hardware import Hardware
from nearfar.training.ranks import Ranks
from nearfar.training.specs import TrainingSpec


class Placing:
    """A method that every rank has whole.

    Args:
        method: On its device.
        ranks: Who trains it together.

    Attributes:
        shared_out: Whether ranks hold a share of its encoders each (`nearfar.training.sharding`).
    """

    shared_out = False

    def __init__(self, method: Method, ranks: Ranks) -> None:
        self.method = method
        self.ranks = ranks

    def computing(self) -> AbstractContextManager[None]:
        """A context in which a step is computed."""
        return nullcontext()

    def average(self, parameters: Sequence[nn.Parameter]) -> StepAverage:
        """What averages a step over the ranks.

        Args:
            parameters: All that are trained.
        """
        return StepAverage(self.method, parameters, self.ranks)

    @property
    def encoder(self) -> nn.Module:
        """The encoder as it was when last gathered; on the first rank alone."""
        return self.method.encoder

    def gather(self) -> None:
        """Bring together what is shared out; every rank calls it."""

    def put_in_place(self) -> None:
        """Leave the method whole on the first rank, when training is over; every rank calls it."""


def placed(method: Method, config: TrainingSpec, hardware: Hardware, ranks: Ranks) -> Placing:
    """Move a method to where it is trained, with the first rank's weights.

    Args:
        method: Moved in place.

    Returns:
        How it lies there.

    Raises:
        SettingError: Its encoders are to be shared out, and the method does not allow it.
    """
    if config.shard and ranks.count > 1:
        # Here, because most runs do without, and it takes a second to import.
        from nearfar.training.sharding import Shards

        ranks.begin_alike(method)
        return Shards(method, hardware.device, ranks)
    method.to(hardware.device)
    if hardware.channels_last:
        method.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    ranks.begin_alike(method)
    return Placing(method, ranks)
