"""Paths as people give them: `~` is their home folder, and what no system takes is refused."""

import os
from pathlib import Path

from nearfar.errors import SettingError

_LONGEST_NAME, _LONGEST_PATH = 255, 4095  # bytes, as Linux and macOS have it or allow more


def user_path(given: str | os.PathLike[str]) -> Path:
    """A path with `~` and `~name` spelt out.

    A shell spells out `~/x` but not `--out=~/x`, and nothing does in a file or in Python.

    Args:
        given: What a person wrote. Nothing is looked up but home folders.

    Raises:
        SettingError: It is empty, too long for any file, holds what no name can, or names a user
            that is not there.
    """
    text = os.fspath(given)
    if not text:
        raise SettingError("an empty name is no path: name a file or folder, or `.` for this one")
    try:
        path = Path(text).expanduser()
        encoded = os.fsencode(path)
    except RuntimeError:
        raise SettingError(f"{text}: no home folder of that user is known") from None
    except ValueError:
        raise SettingError(f"{text}: no file can have such a name") from None
    if b"\0" in encoded:
        raise SettingError(f"{text}: no file can have such a name")
    longest = max(map(len, encoded.split(b"/")))
    if longest > _LONGEST_NAME or len(encoded) > _LONGEST_PATH:
        raise SettingError(
            f"{text[:40]}…: the name is too long, {max(longest, len(encoded))} bytes; a name may "
            f"have {_LONGEST_NAME}, a path {_LONGEST_PATH}"
        )
    return path


def user_cache() -> Path:
    """The folder in the user's cache for what can be fetched or made again; it need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nearfar"
