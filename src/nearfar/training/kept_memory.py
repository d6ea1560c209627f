"""Memory that training on a CPU keeps from step to step.

By itself, glibc gives what a backward pass has freed back to the system, and asks for it anew in
the next step; the system clears each page that it hands out. That is a twentieth of a step.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings (malloc.h): of what is free at the heap's end, how much is kept, and
from which size on a block is mapped on its own, which is given back at once."""
_NEVER = -1
_LARGE = 2**30
_ADAPTED = 32 * 2**20
"""Where glibc's own threshold ends up once a program has freed large blocks; twice that is free at
the heap's end before it gives memory back."""
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


@contextmanager
def kept_memory(device: torch.device) -> Iterator[None]:
    """A context in which what is freed stays with the process, and is given back at the end.

    Only on a CPU, with glibc, and where the environment says nothing of its settings.

    Args:
        device: Where the training is.
    """
    libc = _glibc()
    if device.type != "cpu" or libc is None or any(name in os.environ for name in _SET_BY_USER):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGE)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _ADAPTED)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _ADAPTED)
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is glibc."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # no such thing on Windows
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
