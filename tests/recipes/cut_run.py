"""A recipe's run that is cut by a signal and gone on with, beside one that was not cut."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nearfar.recipes.assembly import assemble
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.training.interruption import Interrupted
from nearfar.training.loop import train


def goes_on_to_the_same_bits(recipe: Recipe, folder: Path, knn: Callable | None = None) -> None:
    """Cut in its second step and gone on with, it ends as it does without.

    Args:
        recipe: Of two steps or more in an epoch.
        folder: Of both runs.
        knn: The check of the training, where it has one.
    """
    whole = _trained(recipe, RunFolder.create(folder / "whole"), knn)
    with pytest.raises(Interrupted):
        _trained(recipe, RunFolder.create(folder / "cut"), knn, stop_at=1)
    again = _trained(recipe, RunFolder(folder / "cut"), knn, resume=True)
    assert all(torch.equal(whole[name], value) for name, value in again.items())


def _trained(recipe, run_folder, knn, stop_at=None, resume=False):
    run = assemble(recipe)
    epoch = run.batches.epoch

    def stopping(number, first_step=0):
        for step, batch in enumerate(epoch(number, first_step), start=first_step):
            if (number, step) == (0, stop_at):
                signal.raise_signal(signal.SIGINT)
            yield batch

    run.batches.epoch = stopping
    train(
        run.method,
        run.views,
        run.batches,
        recipe.training,
        run_folder,
        seed=1,
        resume=resume,
        knn=knn,
    )
    return run.method.state_dict()
