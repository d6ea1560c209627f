"""CIFAR-10 and CIFAR-100 from the files of their "python version"."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from nearfar.data.cifar_pickles import read_pickled_dict
from nearfar.data.downloads import download
from nearfar.data.folder_tree import some
from nearfar.data.labels import encode_labels
from nearfar.data.source import Part, Source
from nearfar.data.specs import CIFARSpec
from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_ROW = 3 * 32 * 32


@dataclass(frozen=True)
class _Layout:
    """Where one of the two sets keeps what."""

    title: str
    torchvision_name: str
    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    names: str
    names_key: str
    labels_key: str


_CIFAR10 = _Layout(
    title="CIFAR-10",
    torchvision_name="CIFAR10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    names="batches.meta",
    names_key="label_names",
    labels_key="labels",
)
_CIFAR100 = _Layout(
    title="CIFAR-100",
    torchvision_name="CIFAR100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    train=("train",),
    test="test",
    names="meta",
    names_key="fine_label_names",
    labels_key="fine_labels",
)


def load_cifar10(spec: CIFARSpec) -> Source:
    """Read CIFAR-10 from `cifar-10-batches-py`.

    torchvision downloads it; its own reader would unpickle the files, which executes what is in
    them, so they are read with `read_pickled_dict` and need no known checksum.

    Args:
        spec: `root` (that folder or the one above it) and `download`.

    Returns:
        50 000 images to learn from and 10 000 for test, 3×32×32.

    Raises:
        NearfarError: If files are missing or damaged.
    """
    return _load("cifar10", _CIFAR10, spec)


def load_cifar100(spec: CIFARSpec) -> Source:
    """Read CIFAR-100, with its 100 fine labels, from `cifar-100-python`; see `load_cifar10`.

    Args:
        spec: `root` (that folder or the one above it) and `download`.

    Returns:
        50 000 images to learn from and 10 000 for test, 3×32×32.

    Raises:
        NearfarError: If files are missing or damaged.
    """
    return _load("cifar100", _CIFAR100, spec)


def _load(name: str, layout: _Layout, spec: CIFARSpec) -> Source:
    """Read one of the two sets."""
    folder = _find_folder(layout, spec)
    class_names = _class_names(folder / layout.names, layout.names_key)
    train = _read_part([folder / file for file in layout.train], layout, len(class_names))
    test = _read_part([folder / layout.test], layout, len(class_names))
    return Source(name, train, test, class_names=class_names)


def _find_folder(layout: _Layout, spec: CIFARSpec) -> Path:
    """The folder that holds all the files, downloaded if need be and allowed."""
    base = spec.folder
    places = [base / layout.folder, base]
    found = _first_complete(places, layout)
    if found is None and spec.download:
        download(layout.torchvision_name, base)
        found = _first_complete(places, layout)
    if found is None:
        raise NearfarError(
            f"{layout.title} is not in {base}: unpack {layout.archive} there, so that "
            f"{places[0] / layout.test} exists, name another folder with --data.root, or fetch "
            "it with --data.download"
        )
    return found


def _first_complete(places: list[Path], layout: _Layout) -> Path | None:
    """The first folder with every file of the set."""
    for place in places:
        if all((place / file).is_file() for file in (*layout.train, layout.test, layout.names)):
            return place
    return None


def _class_names(path: Path, key: str) -> tuple[str, ...]:
    """Names of the classes, in order."""
    names = _entry(read_pickled_dict(path), key, path)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise NearfarError(f"{path}: {key} is no list of names; fetch it again")
    return tuple(name if isinstance(name, str) else name.decode("latin1") for name in names)


def _read_part(paths: list[Path], layout: _Layout, classes: int) -> Part:
    """The images and labels of some batches, one after the other."""
    images, labels = [], []
    for path in paths:
        batch = read_pickled_dict(path)
        images.append(_pixels(_entry(batch, "data", path), path))
        found = _entry(batch, layout.labels_key, path)
        if not isinstance(found, list) or not all(isinstance(label, int) for label in found):
            raise NearfarError(f"{path}: {layout.labels_key} is no list of numbers; fetch it again")
        encoded, _ = encode_labels(
            found, len(images[-1]), what=f"{path}: {layout.labels_key}", classes=range(classes)
        )
        labels.append(encoded)
    return Part(torch.from_numpy(np.concatenate(images)), torch.cat(labels))


def _pixels(data: Any, path: Path) -> UInt8[ndarray, "n 3 32 32"]:
    """A batch's rows as images: 1024 red, 1024 green, 1024 blue values, row by row."""
    if not isinstance(data, ndarray) or data.ndim != 2 or data.shape[1] != _ROW:
        raise NearfarError(f"{path}: data is no table of {_ROW} bytes an image; fetch it again")
    return data.reshape(-1, 3, 32, 32)


def _entry(batch: dict[str, Any], key: str, path: Path) -> Any:
    """One entry of a batch, or an error that names what is there."""
    if key not in batch:
        keys = [printable(name, longest=40) for name in batch]
        raise NearfarError(f"{path}: no {key}, only {some(keys)}; fetch it again")
    return batch[key]
