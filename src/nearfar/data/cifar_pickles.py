"""The pickle files of CIFAR, read without executing anything that is in them.

Unpickling calls whatever function a file names. This reader lets a file name only the few that a
pickled array of bytes needs, and puts inert stand-ins in their place, so a file can describe
arrays, text, numbers, lists and dictionaries, and do nothing.
"""

import io
import pickle
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from nearfar.errors import NearfarError

_LARGEST_FILE = 512 * 2**20
_BYTE_NAMES = ("u1", b"u1", "|u1", b"|u1")


def read_pickled_dict(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays of bytes, text, numbers and lists.

    Args:
        path: A file as CIFAR's makers wrote it with Python 2, or the like written with Python 3.

    Returns:
        The dictionary. Keys are text; text among the values stays bytes where Python 2 wrote it.

    Raises:
        NearfarError: If the file is damaged or names anything beyond arrays of bytes.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise pickle.UnpicklingError("far larger than any CIFAR file")
        content = _InertUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError("holds no dictionary")
        return {_text(key): _plain(value) for key, value in content.items()}
    # Hostile opcodes end in nearly any exception; none of them has run anything.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise NearfarError(f"{path}: not a CIFAR file ({reason}); fetch it again") from None


class _InertUnpickler(pickle.Unpickler):
    """Finds nothing but stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for what a pickled array names; all else is refused."""
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _StandIn("array")
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _StandIn(name)
        if module == "_codecs" and name == "encode":
            return _StandIn("encode")
        raise pickle.UnpicklingError(f"names {module}.{name}, which is no part of an array")


class _StandIn:
    """Takes the place of one of numpy's functions and only records what it was called with."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple = (), state: Any = None) -> None:
        self.name = name
        self.arguments = arguments
        self.state = state

    def __call__(self, *arguments: Any) -> Any:
        if self.name == "encode":  # how Python 3 writes bytes for Python 2
            text, encoding = arguments
            if encoding not in ("latin1", b"latin1"):
                raise pickle.UnpicklingError(f"encoding {encoding!r}")
            return text.encode("latin1")
        return _StandIn(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _plain(value: Any) -> Any:
    """The array that a stand-in describes; any other value as it is."""
    return _to_array(value) if isinstance(value, _StandIn) else value


def _to_array(described: _StandIn) -> UInt8[ndarray, "..."]:
    """The array of bytes, from its recorded parts."""
    _, shape, kind, column_major, content = described.state
    if described.name != "array" or kind.name != "dtype" or kind.arguments[0] not in _BYTE_NAMES:
        raise pickle.UnpicklingError("an array of something other than bytes")
    if prod(shape) != len(content):
        raise pickle.UnpicklingError(f"{len(content)} bytes for an array of shape {shape}")
    flat = np.frombuffer(content, dtype=np.uint8)
    return flat.reshape(shape, order="F" if column_major else "C")


def _text(value: str | bytes) -> str:
    """Text, which Python 2 wrote as bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
