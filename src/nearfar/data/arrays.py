"""Sources from NumPy arrays and .npz files."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.data.config import DataConfig
from nearfar.data.labels import encode_labels
from nearfar.data.source import Part, Source
from nearfar.data.splits import SPLIT_SEED, split_part
from nearfar.errors import NearfarError, SettingError, unknown_name

_KEYS = ("images", "labels", "test_images", "test_labels")


def source_from_arrays(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    test_images: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    test_fraction: float = 0.2,
    name: str = "arrays",
) -> Source:
    """Make a source of images that are held in arrays.

    Args:
        images: uint8, `(n, height, width, channels)` with any number of channels, or
            `(n, height, width)` for one channel.
        labels: One whole number (0 or more) or string for each image, or None.
        test_images: Images for test, of the same height, width and channels. Where left out, a
            stratified part of `images` is held out, always the same.
        test_labels: Their labels; needed where both `labels` and `test_images` are given.
        test_fraction: Share to hold out where there are no `test_images`; 0 holds out none.
        name: What to call the source.

    Returns:
        The source, held in memory. Classes are numbered from 0 in sorted order, and
        `class_names` keeps what they were called.

    Raises:
        NearfarError: If an array has another shape or type, or labels do not fit.
    """
    train_images = _to_tensor(images, "images")
    train_labels, classes = None, None
    notes: list[str] = []
    if labels is not None:
        train_labels, classes = encode_labels(labels, len(train_images))
        if not isinstance(classes[0], str) and classes != list(range(len(classes))):
            notes.append(
                f"the {len(classes)} labels from {classes[0]} to {classes[-1]} have gaps: "
                f"classes are numbered 0 to {len(classes) - 1} in the same order"
            )
    train = Part(train_images, train_labels)

    if test_images is not None:
        test = _given_test_part(train, classes, test_images, test_labels)
    elif test_labels is not None:
        raise NearfarError("test_labels without test_images: give both or neither")
    else:
        train, test = split_part(train, test_fraction)
        if test is not None:
            notes.append(
                f"no test images given: {len(test)} of {len(train) + len(test)} are held out "
                f"(stratified, seed {SPLIT_SEED})"
            )
    class_names = None if classes is None else tuple(str(value) for value in classes)
    return Source(name, train, test, class_names=class_names, notes=tuple(notes))


def load_npz(config: DataConfig) -> Source:
    """Read the arrays `images`, `labels`, `test_images` and `test_labels` of an .npz file.

    Args:
        config: `root` is the file; `test_fraction` splits it where it has no `test_images`.

    Returns:
        The source, held in memory.

    Raises:
        NearfarError: If the file is damaged, holds pickled objects, or its arrays do not fit.
        SettingError: If its arrays are larger than `in_memory_mib`.
    """
    path = config.root
    assert path is not None
    try:
        arrays = _read_arrays(path, config.in_memory_mib * 2**20)
        return source_from_arrays(**arrays, test_fraction=config.test_fraction, name="npz")
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise NearfarError(
            f"{path}: not a readable .npz file ({_first_line(error)}); write it with "
            "numpy.savez(path, images=…, labels=…)"
        ) from None


def _given_test_part(
    train: Part, classes: list | None, images: ArrayLike, labels: ArrayLike | None
) -> Part:
    """The test part as given, if it fits the training part."""
    tensor = _to_tensor(images, "test_images")
    if tensor.shape[1:] != train.image_shape:
        channels, height, width = tensor.shape[1:]
        wanted = train.image_shape
        raise NearfarError(
            f"test_images: {height}×{width} with {channels} channels, but images are "
            f"{wanted[1]}×{wanted[2]} with {wanted[0]}; both must be alike"
        )
    if (labels is None) != (classes is None):
        missing, given = ("test_labels", "labels") if labels is None else ("labels", "test_labels")
        raise NearfarError(f"{given} without {missing}: give both or neither")
    if labels is None:
        return Part(tensor)
    encoded, _ = encode_labels(labels, len(tensor), what="test_labels", classes=classes)
    return Part(tensor, encoded)


def _to_tensor(images: ArrayLike, what: str) -> UInt8[Tensor, "n channels height width"]:
    """The images channels first, or an error that says what to change."""
    array = np.asarray(images)
    if array.dtype != np.uint8:
        raise NearfarError(
            f"{what}: {array.dtype} values; images are uint8, 0 to 255: scale and convert them "
            "first, as in (255 * x).round().astype(numpy.uint8) for values from 0 to 1"
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise NearfarError(
            f"{what}: shape {array.shape}; give (n, height, width, channels) or (n, height, width)"
        )
    if array.size == 0:
        raise NearfarError(f"{what}: shape {array.shape} holds no pixel")
    _, height, width, channels = array.shape
    if height <= 4 < width == channels:
        raise NearfarError(
            f"{what}: shape {array.shape} looks channels first; give (n, height, width, "
            "channels): .transpose(0, 2, 3, 1)"
        )
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def _read_arrays(path: Path, limit: int) -> dict[str, np.ndarray]:
    """The known arrays of the file, once their declared sizes are seen to be small enough."""
    with zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        for key in keys:
            if key not in _KEYS:
                raise unknown_name("array", key, _KEYS)
        if "images" not in keys:
            raise NearfarError(f"no array 'images'; it holds {', '.join(keys) or 'nothing'}")
        # A few kB of zip can unpack to any size: what an array declares is read first.
        declared = sum(_declared_bytes(archive, name) for name in archive.namelist())
    if declared > limit:
        raise SettingError(
            f"{declared / 2**20:.0f} MiB of arrays, over data.in_memory_mib={limit // 2**20}: "
            "raise it, or write the images to a folder, which is streamed"
        )
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in keys}


def _declared_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """Size in bytes that the header of one array declares."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise NearfarError(f"array {name}: .npy version {version} is not known")
        shape, _, dtype = read(member)
    size = dtype.itemsize
    for side in shape:
        size *= side
    return size


def _first_line(error: Exception) -> str:
    """What went wrong, on one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
