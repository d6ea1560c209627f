"""The IDX format of MNIST and its kin: a header of big-endian sizes, then bytes."""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from nearfar.errors import NearfarError

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
