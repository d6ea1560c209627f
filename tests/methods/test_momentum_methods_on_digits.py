"""MoCo and BYOL learn: a run on real digits, judged beside the encoder's first weights."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from nearfar.data.packaged import load_digits
from nearfar.data.specs import DigitsSpec
from nearfar.evaluation.knn import KNNBank
from nearfar.recipes.assembly import Assembly, assemble
from nearfar.recipes.names import recipe_named
from nearfar.run_folder.folder import RunFolder
from nearfar.training.loop import train
from nearfar.training.schedules import CosineSpec

DIGITS = load_digits(DigitsSpec())


def error_of_knn(run: Assembly) -> float:
    """Share of the 500 test digits that their 20 nearest training digits get wrong."""
    encoder = run.method.encoder.eval()
    mean, std = run.format.mean[0], run.format.std[0]

    def features(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return nn.functional.normalize(encoder((images.float() / 255 - mean) / std), dim=1)

    bank = KNNBank(features(DIGITS.train.examples), DIGITS.train.labels)
    scores = bank.predict(features(DIGITS.test.examples), 20, 0.07)
    return float((scores.argmax(dim=1) != DIGITS.test.labels).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moco2-digits", "byol-digits"])
def test_it_learns(name, tmp_path):
    recipe = recipe_named(name)
    training = replace(
        recipe.training, epochs=40, batch_size=128, schedule=CosineSpec(), knn_every=0, device="cpu"
    )
    encoder = replace(recipe.encoder, width=16)
    run = assemble(replace(recipe, encoder=encoder, training=training), DIGITS)
    untrained = error_of_knn(run)
    folder = RunFolder.create(tmp_path / "run")
    train(run.method, run.views, run.batches, training, folder, seed=0)
    # Measured for BYOL: 0.036, and 0.188 untrained.
    assert error_of_knn(run) < 0.5 * untrained
