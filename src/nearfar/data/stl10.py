"""STL-10 from its binary files, with its unlabelled part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from nearfar.data.downloads import found_folder
from nearfar.data.labels import encode_labels
from nearfar.data.source import Part, Source, StreamedExamples
from nearfar.data.specs import STL10Spec
from nearfar.errors import NearfarError

_SHAPE = (3, 96, 96)
_IMAGE_BYTES = 3 * 96 * 96
_FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt")
_UNLABELLED = "unlabeled_X.bin"


class STL10Images(StreamedExamples):
    """The images of one of STL-10's binary files, read when asked for.

    Args:
        path: The file: for each image 96×96 red, then green, then blue bytes, column by column.

    Raises:
        NearfarError: If the file is no whole number of images.
    """

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        if size == 0 or size % _IMAGE_BYTES:
            raise NearfarError(
                f"{path}: {size} bytes are no whole number of 96×96 RGB images "
                f"({_IMAGE_BYTES} bytes each); fetch it again"
            )
        self.path = path
        self.count = size // _IMAGE_BYTES
        self.shape = _SHAPE

    def __len__(self) -> int:
        """The number of images."""
        return self.count

    def __getitem__(self, index: int) -> UInt8[Tensor, "3 96 96"]:
        """One image, 0 to 255."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        offset = index * _IMAGE_BYTES
        content = np.fromfile(self.path, np.uint8, count=_IMAGE_BYTES, offset=offset)
        if len(content) < _IMAGE_BYTES:
            raise NearfarError(f"{self.path}: became shorter while it was read")
        return _upright(torch.from_numpy(content))[0]

    def in_memory(self) -> UInt8[Tensor, "n 3 96 96"]:
        """All images at once."""
        return _upright(torch.from_numpy(np.fromfile(self.path, np.uint8)))


def load_stl10(spec: STL10Spec) -> Source:
    """Read STL-10 from `stl10_binary`; torchvision downloads it.

    The unlabelled part (2.8 GB) streams unless it is what is learnt from and fits
    `in_memory_mib`; where its file is missing, the source has no such part.

    Returns:
        5000 images to learn from, 8000 for test and 100 000 unlabelled, 3×96×96.

    Raises:
        NearfarError: If files are missing or damaged.
    """
    places = [spec.folder / "stl10_binary", spec.folder]
    folder = found_folder(
        spec,
        places,
        lambda place: all((place / file).is_file() for file in _FILES),
        "STL10",
        missing=f"STL-10 is not in {spec.folder}: unpack stl10_binary.tar.gz there, so that "
        f"{places[0] / _FILES[0]} exists, name another folder with --data.root, or fetch it with "
        "--data.download",
        split="train",
    )
    names = (folder / "class_names.txt").read_text(encoding="utf-8", errors="replace").split()
    train, test = (
        _read_part(folder / f"{part}_X.bin", folder / f"{part}_y.bin", len(names), spec)
        for part in ("train", "test")
    )
    source = Source("stl10", train, test, class_names=tuple(names))
    unlabelled = folder / _UNLABELLED
    if not unlabelled.is_file():
        note = f"{unlabelled} is missing: no unlabelled part"
        return replace(source, notes=(note,))
    images = STL10Images(unlabelled)
    if spec.train_part == "train":
        return replace(source, unlabelled=Part(images))
    return replace(source, unlabelled=Part(_held(images, spec)))


def _read_part(image_file: Path, label_file: Path, classes: int, spec: STL10Spec) -> Part:
    """Images and labels of one part; the file counts classes from 1."""
    images = STL10Images(image_file)
    numbers = np.fromfile(label_file, np.uint8)
    labels, _ = encode_labels(
        numbers, len(images), what=str(label_file), classes=range(1, classes + 1)
    )
    return Part(_held(images, spec), labels)


def _held(images: STL10Images, spec: STL10Spec) -> UInt8[Tensor, "n 3 96 96"] | STL10Images:
    """The images in memory where they fit, else streamed."""
    fits = len(images) * _IMAGE_BYTES <= spec.in_memory_mib * 2**20
    return images.in_memory() if fits else images


def _upright(content: UInt8[Tensor, " bytes"]) -> UInt8[Tensor, "n 3 96 96"]:
    """Images with rows before columns."""
    return content.reshape(-1, *_SHAPE).transpose(2, 3).contiguous()
