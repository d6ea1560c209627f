"""JPEG files and tar files read from disk: nearfar's batches against torchvision and webdataset."""

import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from tools.machine import processor, versions
from tools.markdown import table
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2
from webdataset.compat import WebDataset

from benchmarks._process import seconds_of_others
from nearfar.data import late_checks
from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.shard_specs import ImageTarSpec
from nearfar.data.source import Examples
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec

COUNT, TARS, SIZE, QUALITY, BATCH, ROUNDS, WORKERS = 128, 4, (500, 375), 90, 32, 5, 2
SIDES = (64, 224)
FLOOR, OURS = "floor: Pillow's decoding alone", "nearfar, folder, training"

Epoch = Callable[[], int]
"""Reads every image once and gives how many there were."""


def main() -> str:
    torch.set_num_threads(1)
    others: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        bytes_each = write_pictures(Path(place))
        parts = [_cpu_table(Path(place)), *(_wall_table(Path(place), others, b) for b in (0, 1))]
    section = (
        "## Decoding from disk\n\n"
        f"{COUNT} colour JPEG files of {SIZE[0]}×{SIZE[1]} px, quality {QUALITY}, "
        f"{bytes_each / 1e3:.0f} KB each in the mean, in two class folders and in {TARS} tar "
        "files: pieces of scikit-learn's two photographs at random places and sizes, mirrored or "
        "not. Each is brought to a square of 64 or 224 px, its centre, in batches of "
        f"{BATCH}, uint8. *Training*: in the order of an epoch, which is random; *evaluation*: in "
        "the files' order. torchvision: `ImageFolder`, `Resize` (bicubic, as nearfar's), "
        "`CenterCrop` and torch's `DataLoader`, decoding by Pillow or by `decode_image`; "
        "webdataset: `shuffle(100)`, decoding by Pillow and the same transforms. *Floor*: files "
        "read and decoded by Pillow in a plain loop, at the reduced size that JPEG offers "
        "(`draft`) where nearfar asks for it (twice the wanted side or more), and nothing else. "
        f"The files lie in the system's cache. Contenders take turns, median of {ROUNDS} rounds; "
        "in brackets, how many times nearfar's figure in the first row. "
        f"{versions('torch', 'torchvision', 'pillow', 'webdataset')}; {processor()}.\n\n"
        "Programs that are no part of the bench took "
        f"{statistics.mean(others):.2f} of the {os.cpu_count()} cores during the turns by the "
        "clock.\n\n" + "\n".join(parts)
    )
    print(section)
    return section


def write_pictures(place: Path) -> float:
    """Write the files below `folder` and into some tar files; give the mean of their bytes."""
    photographs = [Image.fromarray(each) for each in load_sample_images().images]
    draws, sizes = np.random.default_rng(0), []
    (place / "tars").mkdir()
    with contextlib.ExitStack() as stack:
        archives = [
            stack.enter_context(tarfile.open(place / "tars" / f"{number}.tar", "w"))
            for number in range(TARS)
        ]
        for number in range(COUNT):
            archive = archives[number * TARS // COUNT]
            kind = number % 2
            photograph = photographs[kind]
            width = int(draws.integers(400, photograph.width + 1))
            height = min(width * SIZE[1] // SIZE[0], photograph.height)
            left = int(draws.integers(photograph.width - width + 1))
            top = int(draws.integers(photograph.height - height + 1))
            piece = photograph.crop((left, top, left + width, top + height)).resize(SIZE)
            if draws.integers(2):
                piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            held = io.BytesIO()
            piece.save(held, "JPEG", quality=QUALITY)
            file = place / "folder" / f"class{kind}" / f"{number:05}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(held.getvalue())
            sizes.append(len(held.getvalue()))
            for ending, content in (("jpg", held.getvalue()), ("cls", str(kind).encode())):
                member = tarfile.TarInfo(f"{number:05}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return statistics.mean(sizes)


def contenders(place: Path, side: int, workers: int) -> dict[str, Epoch]:
    """Every contender, each ready to read all images once."""
    files = sorted((place / "folder").rglob("*.jpg"))
    spec = {"image_size": side, "in_memory_mib": 0, "test_fraction": 0.0}
    late_checks.AT_ONCE = 0  # so that nothing is decoded here, as of more files than these
    folder = load_source(FolderSpec(root=place / "folder", **spec)).train.examples
    tar = load_source(ImageTarSpec(root=place / "tars", **spec)).train.examples
    on_pixels = v2.Compose([v2.Resize(side, v2.InterpolationMode.BICUBIC), v2.CenterCrop(side)])
    on_pictures = v2.Compose([on_pixels, v2.PILToTensor()])
    by_pillow = ImageFolder(place / "folder", on_pictures)
    by_torch = ImageFolder(
        place / "folder", on_pixels, loader=lambda path: decode_image(path, ImageReadMode.RGB)
    )
    shards = (
        WebDataset([str(path) for path in sorted((place / "tars").iterdir())], shardshuffle=False)
        .shuffle(100)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(on_pictures, int)
    )
    return {
        OURS: lambda: _trained_on(folder, workers),
        "nearfar, folder, evaluation": lambda: _evaluated(folder, workers),
        "nearfar, tar, training": lambda: _trained_on(tar, workers),
        "torchvision, folder, Pillow": lambda: _loaded(by_pillow, workers, shuffle=True),
        "torchvision, folder, decode_image": lambda: _loaded(by_torch, workers, shuffle=True),
        "webdataset, tar": lambda: _loaded(shards, workers, shuffle=None),
        FLOOR: lambda: _decoded(files, side),
    }


def _trained_on(examples: Examples, workers: int) -> int:
    batches = TrainingBatches(
        examples, None, batch_size=BATCH, seed=0, device="cpu", workers=workers
    )
    return sum(len(images) for images, _, _ in batches.epoch(0))


def _evaluated(examples: Examples, workers: int) -> int:
    batches = evaluation_batches(examples, batch_size=BATCH, device="cpu", workers=workers)
    return sum(len(images) for images, _ in batches)


def _loaded(examples: object, workers: int, *, shuffle: bool | None) -> int:
    loader = DataLoader(examples, batch_size=BATCH, num_workers=workers, shuffle=shuffle)  # pyright: ignore[reportArgumentType]
    return sum(len(images) for images, _ in loader)


def _decoded(files: Sequence[Path], side: int) -> int:
    for file in files:
        with Image.open(file) as image:
            image.draft("RGB", (2 * side, 2 * side))
            image.load()
    return len(files)


def _cpu_table(place: Path) -> str:
    """Processor time an image of each contender, in one process without workers."""
    cells: dict[str, list[str]] = {}
    for side in SIDES:
        taken = _rounds(contenders(place, side, 0), time.process_time)
        for name, seconds in taken.items():
            cells.setdefault(name, []).append(_beside(name, seconds, taken[OURS]))
    rows = [[name, *told] for name, told in cells.items()]
    heading = "### Processor time an image, one process without workers"
    return f"{heading}\n\n" + table(["", *(f"{side} px" for side in SIDES)], rows)


def _wall_table(place: Path, others: list[float], busy: int) -> str:
    """Images a second by the clock of each contender but the floor, with two workers."""
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    cells: dict[str, list[str]] = {}
    try:
        for side in SIDES:
            began, before = time.perf_counter(), seconds_of_others(beside) - _own_seconds()
            every = contenders(place, side, WORKERS)
            del every[FLOOR]  # it has no workers
            taken = _rounds(every, time.perf_counter)
            after = seconds_of_others(beside) - _own_seconds()
            others.append((after - before) / (time.perf_counter() - began))
            for name, seconds in taken.items():
                ratio = "" if name == OURS else f" ({taken[OURS] / seconds:.2f}×)"
                cells.setdefault(name, []).append(f"{COUNT / seconds:.0f}{ratio}")
    finally:
        for process in beside:
            process.kill()
            process.wait()
    rows = [[name, *told] for name, told in cells.items()]
    heading = f"### Images a second, {WORKERS} workers" + (
        ", beside one busy process" if busy else ""
    )
    return f"{heading}\n\n" + table(["", *(f"{side} px" for side in SIDES)], rows)


def _own_seconds() -> float:
    """Processor time of this process and of its workers that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _rounds(every: dict[str, Epoch], clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each contender for all images, in turns, after one that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in every}
    for turn in range(ROUNDS + 1):
        for name, read in every.items():
            start = clock()
            count = read()
            if turn:
                taken[name].append(clock() - start)
            assert count == COUNT, f"{name} gave {count} images"
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _beside(name: str, seconds: float, ours: float) -> str:
    """Milliseconds an image, and how many times nearfar's; of the floor its share of nearfar's."""
    told = f"{seconds / COUNT * 1e3:.2f} ms"
    if name == OURS:
        return told
    return f"{told} ({seconds / ours:.0%})" if name == FLOOR else f"{told} ({seconds / ours:.2f}×)"


if __name__ == "__main__":
    main()
