"""Files that are whole or absent, whenever the process dies or the power goes."""

import contextlib
import os
from pathlib import Path

from nearfar.errors import NearfarError

UNFINISHED = ".unfinished"
"""Ending of a file that is still being written; one that is found was left by a killed process."""


def write_durably(path: Path, content: bytes) -> None:
    """Write a file aside, sync it, and rename it into place: it is the old or the new one, whole.

    Args:
        path: Where the file is to lie; its folder must exist.
        content: All of it.

    Raises:
        NearfarError: The disk is full or refuses; what lay at `path` before is untouched.
    """
    aside = path.with_name(path.name + UNFINISHED)
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise NearfarError(f"cannot write {path}: {error.strerror}") from error


def append_line(path: Path, line: str) -> None:
    """Add one line to the end of a file.

    Raises:
        NearfarError: The disk is full or refuses.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise NearfarError(f"cannot write {path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
