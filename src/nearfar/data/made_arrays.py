"""Arrays that take a while to make, kept in the user's cache for the next run."""

import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy import ndarray

from nearfar.durable_files import make_folder, write_durably
from nearfar.errors import NearfarError


def read_made(file: Path) -> dict[str, ndarray] | None:
    """What was made before; None where there is none, or it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def keep_made(file: Path, made: dict[str, ndarray]) -> None:
    """Write what was made; a cache that cannot be written costs the next run a while."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **made)
    try:
        make_folder(file.parent)
        write_durably(file, content.getvalue())
    except NearfarError:
        pass
