"""A training that is stopped in the middle of an epoch and gone on with, beside one that is not."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.tiny_run import TINY, images, train_tiny
from torch import nn

from nearfar.data.batches import TrainingBatches
from nearfar.training.checkpoints import load_newest
from nearfar.training.interruption import Interrupted
from nearfar.training.run_folder import RunFolder
from nearfar.training.specs import TrainingSpec

SHORT = replace(TINY, epochs=2)


class StoppingBatches(TrainingBatches):
    """Batches that send SIGINT to this process just before a step of the first epoch."""

    def __init__(self, at_step: int, batch_size: int):
        super().__init__(images(), None, batch_size=batch_size, seed=3, device="cpu")
        self.at_step = at_step

    def epoch(self, number, first_step=0):
        for step, batch in enumerate(super().epoch(number, first_step), start=first_step):
            if number == 0 and step == self.at_step:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint."""
    loaded = load_newest(RunFolder(path).checkpoints)
    assert loaded is not None
    return dict(loaded.checkpoint.tensors)


def assert_goes_on_as_if_never_stopped(
    folder: Path, build: Callable[[], nn.Module], config: TrainingSpec = SHORT
) -> dict[str, torch.Tensor]:
    """Compares both runs bit for bit; gives the state at the end."""
    train_tiny(folder / "whole", config, method=build())
    batches = StoppingBatches(1, config.batch_size)
    with pytest.raises(Interrupted):
        train_tiny(folder / "cut", config, method=build(), batches=batches)
    train_tiny(folder / "cut", config, method=build(), resume=True)
    whole, cut = state_of(folder / "whole"), state_of(folder / "cut")
    assert whole.keys() == cut.keys()
    assert [name for name in whole if not torch.equal(whole[name], cut[name])] == []
    return whole
