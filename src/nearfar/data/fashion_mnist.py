"""Fashion-MNIST from its four IDX files: each a header of big-endian sizes, then bytes."""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from nearfar.data.downloads import found_folder
from nearfar.data.source import Part, Source
from nearfar.data.specs import FashionMNISTSpec
from nearfar.errors import NearfarError

CLASS_NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

_FILES = tuple(
    f"{part}-{content}-ubyte"
    for part in ("train", "t10k")
    for content in ("images-idx3", "labels-idx1")
)
_LARGEST_FILE = 60_000 * 28 * 28


def load_fashion_mnist(spec: FashionMNISTSpec) -> Source:
    """Read Fashion-MNIST, gzipped or not.

    Looked for in `spec.root`; without a root in the folder of Debian's package
    dataset-fashion-mnist, then in the cache. `spec.download` lets torchvision fetch it.

    Returns:
        60 000 images to learn from and 10 000 for test, 1×28×28.

    Raises:
        NearfarError: If files are missing or damaged.
    """
    places = [spec.folder, spec.folder / "FashionMNIST" / "raw"]
    if spec.root is None:
        places.insert(0, DEBIAN_FOLDER)
    folder = found_folder(
        spec,
        places,
        lambda place: all(_file(place, name) for name in _FILES),
        "FashionMNIST",
        missing=f"Fashion-MNIST is not in {places[0]}: put its four files ({_FILES[0]}.gz, …) "
        "there, or install Debian's package dataset-fashion-mnist, name another folder with "
        "--data.root, or fetch it with --data.download",
    )
    train, test = (_read_part(folder, part) for part in ("train", "t10k"))
    return Source("fashion-mnist", train, test, class_names=CLASS_NAMES)


def _file(folder: Path, name: str) -> Path | None:
    """The file as it is or gzipped, or None."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_part(folder: Path, part: str) -> Part:
    """Images and labels of one part, checked against each other."""
    image_file = _file(folder, f"{part}-images-idx3-ubyte")
    label_file = _file(folder, f"{part}-labels-idx1-ubyte")
    assert image_file is not None
    assert label_file is not None
    images = read_idx(image_file, 3, limit=_LARGEST_FILE)
    labels = read_idx(label_file, 1, limit=_LARGEST_FILE)
    if len(images) != len(labels) or len(images) == 0:
        raise NearfarError(
            f"{image_file} holds {len(images)} images and {label_file} {len(labels)} labels: "
            "fetch both again"
        )
    if labels.max() >= len(CLASS_NAMES):
        raise NearfarError(f"{label_file}: label {labels.max()}, above 9; fetch it again")
    pixels = torch.from_numpy(images[:, None].copy())
    return Part(pixels, torch.from_numpy(labels.astype(np.int64)))


_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int, *, limit: int) -> UInt8[ndarray, "..."]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: The file; gzipped if its name ends in `.gz`.
        dimensions: How many the array must have: 3 for images, 1 for labels.
        limit: Largest number of bytes the array may declare.

    Returns:
        The array.

    Raises:
        NearfarError: If the file is of another format, damaged, truncated or too large.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            zero, kind, found = struct.unpack(">HBB", file.read(4))
            if zero != 0 or kind != _UNSIGNED_BYTE or found != dimensions:
                raise NearfarError(f"{path}: not an IDX file of {dimensions}-dimensional bytes")
            shape = struct.unpack(f">{found}I", file.read(4 * found))
            size = prod(shape)
            if size > limit:
                raise NearfarError(f"{path}: declares {size} bytes, more than the {limit} expected")
            content = file.read(size + 1)
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise NearfarError(f"{path}: damaged or unreadable ({error}); fetch it again") from None
    if len(content) != size:
        fault = "truncated" if len(content) < size else "longer than it declares"
        raise NearfarError(f"{path}: {fault}; fetch it again")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
