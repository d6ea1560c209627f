"""One piece of work at one size in a process of its own: its CPU seconds, and the memory it adds.

python -m benchmarks._growth_work WORK N     prints seconds and MiB
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from nearfar.data.source import Part, StreamedExamples
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.knn import KNNBank
from nearfar.objectives import nt_xent
from nearfar.recipes.config_json import recipe_to_json
from nearfar.run_folder.folder import RunFolder
from nearfar.sweeps.digits_studies import simclr_digits_search
from nearfar.sweeps.found_runs import find_runs
from nearfar.sweeps.proposing import distributions, next_point
from nearfar.uses.embed import embed
from nearfar.uses.embeddable import Examples

DIM, QUERIES, SIDE, CLASSES = 128, 256, 32, 10
LEAST_S, MOST_ROUNDS = 0.5, 5
"""CPU seconds after which a piece of work is not repeated, and rounds at most."""


def step(count: int) -> Callable[[], object]:
    """NT-Xent of a batch and its gradient, from embeddings on."""
    embeddings = torch.randn(2, count // 2, DIM, requires_grad=True)

    def work() -> None:
        embeddings.grad = None
        nt_xent(embeddings[0], embeddings[1], temperature=0.2).backward()

    return work


def knn(count: int) -> Callable[[], object]:
    """The weighted vote of 200 neighbours for some queries, in a bank of this size."""
    bank = KNNBank(torch.randn(count, DIM), torch.arange(count) % CLASSES, num_classes=CLASSES)
    queries = torch.randn(QUERIES, DIM)
    return lambda: bank.predict(queries, min(200, count), 0.1)


def embedding(count: int) -> Callable[[], object]:
    """`nearfar embed` of images that lie on disk, features written to a file."""
    folder = Path(tempfile.mkdtemp())
    stored = np.lib.format.open_memmap(
        folder / "images.npy", "w+", np.uint8, (count, 3, SIDE, SIDE)
    )
    for first in range(0, count, 1000):
        stored[first : first + 1000] = np.random.default_rng(first).integers(
            256, size=(len(stored[first : first + 1000]), 3, SIDE, SIDE), dtype=np.uint8
        )
    stored.flush()
    encoder = _encoder(folder)
    parts = {"": Part(_OnDisk(folder / "images.npy"), None, [str(row) for row in range(count)])}

    def work() -> None:
        embed(encoder, Examples(parts, None, {}), folder / "features.npy")

    return work


def proposing(count: int) -> Callable[[], object]:
    """TPE's next trial of three axes after so many, which a sweep asks for once a trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, draws = simclr_digits_search(), np.random.default_rng(0)
    axes: dict[str, Any] = dict(distributions(study))
    trials = [
        optuna.trial.create_trial(
            params={
                name: float(np.exp(draws.uniform(np.log(axis.low), np.log(axis.high))))
                for name, axis in axes.items()
            },
            distributions=axes,
            value=float(draws.random()),
        )
        for _ in range(count)
    ]
    return lambda: next_point(study, trials)


def listing(count: int) -> Callable[[], object]:
    """`nearfar runs` of a folder with so many runs of 20 epochs."""
    root = Path(tempfile.mkdtemp())
    config = recipe_to_json(simclr_digits_search().recipe)
    line = '{{"kind": "step", "step": {0}, "epoch": {0}.0, "loss": 3.0, "learning_rate": 0.001}}\n'
    metrics = "".join(line.format(epoch) for epoch in range(1, 21))
    for number in range(count):
        folder = RunFolder.create(root / f"run-{number}")
        folder.write_config(config)
        folder.metrics.write_text(metrics)
    return lambda: find_runs(root)


WORK = {each.__name__: each for each in (step, knn, embedding, proposing, listing)}


class _OnDisk(StreamedExamples):
    """Images of a file that is larger than memory, read one at a time."""

    def __init__(self, path: Path) -> None:
        self._images = np.load(path, mmap_mode="r")
        self.shape = self._images.shape[1:]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self._images[index]))


def _encoder(folder: Path) -> SavedEncoder:
    spec = SmallResNetSpec(width=8)
    shape = (3, SIDE, SIDE)
    save_encoder(
        folder / "encoder", spec.build(shape), spec, shape=shape, mean=[0.5] * 3, std=[0.3] * 3
    )
    return load_encoder(folder / "encoder")


def _peak() -> float:
    """MiB that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(name: str, count: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    WORK[name](min(count, 64))()  # whatever is loaded and chosen the first time
    work = WORK[name](count)
    before, seconds = _peak(), []
    while sum(seconds) < LEAST_S and len(seconds) < MOST_ROUNDS:
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    print(statistics.median(seconds), max(0.0, _peak() - before))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
