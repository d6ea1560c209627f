"""A real training small enough to be killed a hundred times: SimCLR on made images."""

from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from nearfar.data.batches import TrainingBatches
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.methods.simclr import SimCLR
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.testing.resuming import random_images as images
from nearfar.training.loop import train
from nearfar.training.schedules import CosineSpec
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import DigitsViewsSpec

TINY = TrainingSpec(
    epochs=6,
    batch_size=8,
    schedule=CosineSpec(warmup_share=1 / 3),
    device="cpu",
    precision="fp32",
    knn_every=2,
    keep_checkpoints=3,
)


def build_method(seed: int = 0) -> SimCLR:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SmallResNetSpec(width=4).build((1, 8, 8))
        return SimCLR(SimCLRSpec(projection_hidden=8, projection_dim=4), encoder)


def fake_knn(encoder: nn.Module) -> dict[str, float]:
    """Stands in for the evaluation: a number that depends on the weights."""
    assert not encoder.training
    with torch.no_grad():
        features = encoder(images(4).float() / 255)
    return {"top1": float(features.sigmoid().mean()), "top5": 1.0}


def train_tiny(
    path: Path,
    config: TrainingSpec = TINY,
    *,
    resume: bool = False,
    console: Console | None = None,
    method: nn.Module | None = None,
    views=None,
    batches=None,
    seed: int = 3,
    threads: int = 1,
    knn=fake_knn,
    after_check=None,
) -> nn.Module:
    """Train in a folder, anew or resumed, as the command line would."""
    torch.set_num_threads(threads)
    folder = RunFolder(path) if resume else RunFolder.create(path)
    method = method or build_method()
    train(
        method,
        views or DigitsViewsSpec().build((1, 8, 8), mean=(0.5,), std=(0.5,)),
        batches
        or TrainingBatches(images(), None, batch_size=config.batch_size, seed=seed, device="cpu"),
        config,
        folder,
        seed=seed,
        resume=resume,
        knn=knn,
        after_check=after_check,
        console=console,
    )
    return method
