"""Sources from .npz files: images, series or vectors under names of their own."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nearfar.data.arrays import source_from_arrays, source_from_series, source_from_vectors
from nearfar.data.source import Source
from nearfar.data.source_spec import OwnDataSpec
from nearfar.errors import NearfarError, SettingError, unknown_name
from nearfar.modality import Modality
from nearfar.npy_headers import declared_in

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

    Args:
        spec: `modality` says what; `root` is the file; `test_fraction` splits it where it has no
            test part.

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
        arrays = _read_arrays(path, what, spec.in_memory_mib * 2**20)
        return source_from(**arrays, test_fraction=spec.test_fraction, name=spec.name)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise NearfarError(
            f"{path}: not a readable .npz file ({first_line(error)}); write it with "
            f"numpy.savez(path, {what}=…, labels=…)"
        ) from None


def _read_arrays(path: Path, what: str, limit: int) -> dict[str, np.ndarray]:
    """The known arrays of the file, once their declared sizes are seen to be small enough."""
    known = (what, "labels", f"test_{what}", "test_labels")
    with zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        for key in keys:
            if key not in known:
                raise unknown_name("array", key, known)
        if what not in keys:
            raise NearfarError(f"no array {what!r}; it holds {', '.join(keys) or 'nothing'}")
        # A few kB of zip can unpack to any size: what an array declares is read first.
        declared = sum(declared_in(archive, name) for name in archive.namelist())
    if declared > limit:
        raise SettingError(
            f"{declared / 2**20:.0f} MiB of arrays, over data.in_memory_mib={limit // 2**20}: "
            "raise it"
            + (", or write the images to a folder, which is streamed" if what == "images" else "")
        )
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in keys}


def first_line(error: Exception) -> str:
    """What went wrong, on one line.

    Args:
        error: Whose message may have several.
    """
    return (str(error).splitlines() or [type(error).__name__])[0]
