"""Sources from NumPy arrays, in memory or in .npz files: images, series or vectors."""

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.data.array_likes import as_array, series_of, vectors_of
from nearfar.data.array_names import array_names
from nearfar.data.labelled_source import with_labels
from nearfar.data.source import Part, Source
from nearfar.data.source_spec import OwnDataSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.modality import Modality
from nearfar.npy_headers import declared_bytes, declared_in
from nearfar.outside_text import first_line, printable


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
        labels: One whole number (0 or more) or string for each image, or None. Images without a
            label, which is −1, None, NaN or an empty string, become the unlabelled part.
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
    return source_of(
        "images", images_of, images, labels, test_images, test_labels, test_fraction, name
    )


def source_from_series(
    series: ArrayLike,
    labels: ArrayLike | None = None,
    test_series: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    test_fraction: float = 0.2,
    name: str = "arrays",
) -> Source:
    """Make a source of series that are held in arrays.

    Args:
        series: Real numbers, `(n, channels, steps)`, or `(n, steps)` for one channel; all finite
            and of one length. Kept as float32, or as float64 where they come in a wider type.
        labels: As `source_from_arrays` takes them, and so all others.
        test_series: Series for test, of the same channels and steps; else a part is held out.

    Raises:
        NearfarError: If an array has another shape or type, is ragged or not finite, or labels do
            not fit.
    """
    return source_of(
        "series", series_of, series, labels, test_series, test_labels, test_fraction, name
    )


def source_from_vectors(
    vectors: ArrayLike,
    labels: ArrayLike | None = None,
    test_vectors: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    test_fraction: float = 0.2,
    name: str = "arrays",
    minus_one: bool = True,
) -> Source:
    """Make a source of vectors that are held in arrays: rows of a table, or embeddings.

    Args:
        vectors: Real numbers, `(n, features)`, all finite. Kept as float32, or as float64 where
            they come in a wider type.
        labels: As `source_from_arrays` takes them, and so all others.
        test_vectors: Vectors for test, of the same features; else a part is held out.
        minus_one: Whether a label of −1 is none; in tables gaps are, and −1 may be a class.

    Raises:
        NearfarError: If an array has another shape or type, is ragged or not finite, or labels do
            not fit.
    """
    return source_of(
        "vectors",
        vectors_of,
        vectors,
        labels,
        test_vectors,
        test_labels,
        test_fraction,
        name,
        minus_one=minus_one,
    )


def source_of(
    what: Modality,
    read: Callable[[ArrayLike, str], Tensor],
    examples: ArrayLike,
    labels: ArrayLike | None,
    test_examples: ArrayLike | None,
    test_labels: ArrayLike | None,
    test_fraction: float,
    name: str,
    *,
    minus_one: bool = True,
) -> Source:
    """The source of arrays that hold `what`, each made a tensor by `read`.

    Args:
        minus_one: Whether a label of −1 is none.
    """
    train = Part(read(examples, what), modality=what)
    test = None
    if test_examples is not None:
        test = Part(read(test_examples, f"test_{what}"), modality=what)
    return with_labels(
        name, train, test, labels, test_labels, test_fraction, called=what, minus_one=minus_one
    )


def images_of(images: ArrayLike, what: str) -> UInt8[Tensor, "n channels height width"]:
    """The images channels first, or an error that says what to change."""
    array = as_array(images, what, advice="all images must have one size")
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
    if looks_channels_first(array.shape[1:]):
        raise NearfarError(
            f"{what}: shape {array.shape} looks channels first; give (n, height, width, "
            "channels): .transpose(0, 2, 3, 1)"
        )
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def looks_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether what is given as `(height, width, channels)` is most likely channels first.

    Args:
        shape: Of one image. Of few rows, with more columns and channels than any colour has; or
            as many channels as columns, and fewer rows.
    """
    height, width, channels = shape
    return height <= 4 < min(width, channels) or height < width == channels > 4


# What the arrays hold, and are called, and what makes a source of them.
_KINDS: dict[Modality, Callable[..., Source]] = {
    "images": source_from_arrays,
    "series": source_from_series,
    "vectors": source_from_vectors,
}
# zipfile's word for unknown compression and for encryption is RuntimeError.
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    KeyError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise on a damaged file."""


def load_npz(spec: OwnDataSpec) -> Source:
    """Read the arrays of an .npz file: examples, and maybe labels and a test part.

    They are called `images`, `labels`, `test_images` and `test_labels`; in the source `series-npz`
    `series` and `test_series` stand for the images, in `vectors-npz` `vectors` and `test_vectors`.
    `array_names` knows others. The one array of an .npy file is the examples.

    Returns:
        The source, held in memory.

    Raises:
        NearfarError: If the file is damaged, holds pickled objects, or its arrays do not fit.
        SettingError: If its arrays are larger than `in_memory_mib`.
    """
    path = spec.root
    assert path is not None
    what, source_from = spec.modality, _KINDS[spec.modality]
    try:
        arrays, notes = _read_arrays(path, what, spec.in_memory_mib * 2**20)
        source = source_from(**arrays, test_fraction=spec.test_fraction, name=spec.name)
        return replace(source, notes=(*notes, *source.notes))
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise NearfarError(
            f"{path}: not a readable {'.npy' if is_single(path) else '.npz'} file "
            f"({first_line(error)}); write it with numpy.savez(path, {what}=…, labels=…)"
        ) from None


def _read_arrays(
    path: Path, what: str, limit: int
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The known arrays of the file, once their declared sizes are seen to be small enough, and
    what a person should know of them."""
    if is_single(path):
        with path.open("rb") as file:
            declared = declared_bytes(file, path.name)
        require_room(declared, what, limit)
        return {what: np.load(path, allow_pickle=False)}, ()
    with zipfile.ZipFile(path) as archive:
        names = array_names((name.removesuffix(".npy") for name in archive.namelist()), what)
        # A few kB of zip can unpack to any size: what an array declares is read first.
        declared = sum(declared_in(archive, name) for name in archive.namelist())
    require_room(declared, what, limit)
    with np.load(path, allow_pickle=False) as file:
        arrays = {role: file[name] for role, name in names.held.items()}
    for role in arrays.keys() & {"labels", "test_labels"}:
        if arrays[role].ndim == 2 and arrays[role].shape[1] == 1:  # a column, as MedMNIST has them
            arrays[role] = arrays[role][:, 0]
    unread = ", ".join(map(printable, names.unread))
    return arrays, (f"not read: the validation part ({unread})",) if unread else ()


def is_single(path: Path) -> bool:
    """Whether a file holds one array, which has no name."""
    return path.suffix.lower() == ".npy"


def require_room(declared: int, what: str, limit: int) -> None:
    """Refuse arrays of `what` that declare more bytes than the limit.

    Raises:
        SettingError: Naming the setting.
    """
    if declared > limit:
        raise SettingError(
            f"{declared / 2**20:.0f} MiB of arrays, over data.in_memory_mib={limit // 2**20}: "
            "raise it"
            + (", or write the images to a folder, which is streamed" if what == "images" else "")
        )
