"""Sizes of NumPy's arrays in files, before they are read. Imports no torch: run folders need it."""

import math
import zipfile
from io import BufferedIOBase, BytesIO
from typing import cast

import numpy as np

from nearfar.errors import NearfarError
from nearfar.outside_text import printable


def read_within(content: bytes, limit: int) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, if they are small enough, and never through pickle.

    Args:
        limit: Most bytes that they may take together.

    Raises:
        NearfarError: They are larger, or declare sizes that cannot be.
        Exception: NumPy and zipfile have many for a damaged file.
    """
    with zipfile.ZipFile(BytesIO(content)) as archive:
        declared = sum(declared_in(archive, name) for name in archive.namelist())
    if declared > limit:
        raise NearfarError(
            f"{declared / 2**20:.0f} MiB of arrays, where {limit / 2**20:.0f} are the most"
        )
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def declared_in(archive: zipfile.ZipFile, name: str) -> int:
    """Size in bytes that one array of an .npz file declares; nothing else of it is read.

    Args:
        archive: The .npz file.
        name: Of the array's file in it, which ends in .npy.

    Raises:
        NearfarError: It declares what cannot be.
    """
    with archive.open(name) as member:
        return declared_bytes(cast(BufferedIOBase, member), name)


def declared_bytes(file: BufferedIOBase, name: str) -> int:
    """Size in bytes that the header of an array declares; nothing else of it is read.

    Args:
        file: An .npy file, opened at its beginning.
        name: For messages.

    Raises:
        NearfarError: As for `declared_shape`.
    """
    shape, dtype = declared_shape(file, name)
    return math.prod(shape, start=dtype.itemsize)


def declared_shape(file: BufferedIOBase, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that the header of an array declares; nothing else of it is read.

    Args:
        file: An .npy file, opened at its beginning.
        name: For messages.

    Raises:
        NearfarError: Its version is not known, or a side is negative, which would cancel others.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise NearfarError(f"array {printable(name)}: .npy version {version} is not known")
    shape, _, dtype = read(file)
    if any(side < 0 for side in shape):
        raise NearfarError(f"array {printable(name)}: a shape of {shape} cannot be")
    return tuple(shape), dtype
