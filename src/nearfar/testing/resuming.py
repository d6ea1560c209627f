"""A run that is cut and gone on with, beside one that was not cut."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from nearfar.data.batches import TrainingBatches
from nearfar.methods.method import Method
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import as_spec
from nearfar.training.checkpoints import load_newest
from nearfar.training.interruption import Interrupted
from nearfar.training.loop import train
from nearfar.training.schedules import CosineSpec
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import ViewsSpec

CLASSES = 3
SHORT = TrainingSpec(
    epochs=2,
    batch_size=8,
    schedule=CosineSpec(warmup_share=1 / 3),
    device="cpu",
    precision="fp32",
    keep_checkpoints=3,
)


def resumes_to_the_same_bits(
    build: Callable[[], Method], config: TrainingSpec = SHORT, folder: Path | None = None
) -> dict[str, Tensor]:
    """A run cut in its first epoch and gone on with ends as one that was not cut.

    Args:
        build: The method for images of `(1, 8, 8)`, the same weights every time.
        config: Two epochs or more.
        folder: Empty, for the runs; None: one that is removed.

    Returns:
        The last state.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return resumes_to_the_same_bits(build, config, Path(made))
    _train(folder / "whole", build(), config)
    try:
        _train(folder / "cut", build(), config, stop_at=1)
    except Interrupted:
        _train(folder / "cut", build(), config, resume=True)
    else:
        raise AssertionError("the run was not cut: this works in the main thread alone")
    whole, cut = (_last_state(folder / name) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys(), f"only one state holds {sorted(whole.keys() ^ cut.keys())}"
    differing = [name for name in whole if not torch.equal(whole[name], cut[name])]
    assert not differing, f"other bits in {', '.join(differing)}"
    return whole


def random_images(count: int = 33) -> Tensor:
    """Small ones, the same every time."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)


class StoppingBatches(TrainingBatches):
    """Random images of three classes; SIGINT to this process just before a step, if asked.

    Args:
        batch_size: Examples a step.
        stop_at: A step of the first epoch.
    """

    def __init__(self, batch_size: int, stop_at: int | None = None) -> None:
        images = random_images()
        labels = torch.arange(len(images)) % CLASSES
        super().__init__(images, labels, batch_size=batch_size, seed=3, device="cpu")
        self.stop_at = stop_at

    def epoch(
        self, number: int, first_step: int = 0
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Those of an epoch."""
        for step, batch in enumerate(super().epoch(number, first_step), start=first_step):
            if number == 0 and step == self.stop_at:
                signal.raise_signal(signal.SIGINT)
            yield batch


def _train(
    path: Path,
    method: Method,
    config: TrainingSpec,
    *,
    stop_at: int | None = None,
    resume: bool = False,
) -> None:
    """A run in a folder, anew or gone on with."""
    train(
        method,
        as_spec(ViewsSpec, "digits").build((1, 8, 8), mean=(0.5,), std=(0.5,)),
        StoppingBatches(config.batch_size, stop_at),
        config,
        RunFolder(path) if resume else RunFolder.create(path),
        seed=3,
        resume=resume,
    )


def _last_state(path: Path) -> dict[str, Tensor]:
    """The tensors of the last checkpoint of a run."""
    loaded = load_newest(RunFolder(path).checkpoints)
    assert loaded is not None
    return dict(loaded.checkpoint.tensors)
