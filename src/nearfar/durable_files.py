"""Files that are whole or absent, whenever the process dies or the power goes."""

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nearfar.errors import NearfarError

UNFINISHED = ".nearfar-unfinished"
"""Ending of a file that is still being written; one that is found was left by a killed process."""

_under_way: set[Path] = set()
"""What this process is writing aside right now."""

_ASIDE = re.compile(r".*\.(?P<pid>[0-9]{1,9})-[0-9a-f]{8}" + re.escape(UNFINISHED), re.DOTALL)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file aside, sync it, and rename it into place: it is the old or the new one, whole.

    A link is followed: the file it leads to is replaced, the link stays. Each call writes aside
    under a name of its own, so of several writers of one path the last to finish wins.

    Args:
        path: Where the file is to lie; its folder must exist.

    Raises:
        NearfarError: The disk is full or refuses, or something that is no file lies there; what lay
            at `path` before is untouched.
    """
    with written_durably(path) as file:
        file.write(content)


@contextmanager
def written_durably(path: Path) -> Iterator[BinaryIO]:
    """A file to write bit by bit, as `write_durably` does it; in place once the context is left.

    Args:
        path: Where the file is to lie; its folder must exist.

    Raises:
        NearfarError: As of `write_durably`.
    """
    with writing(path):
        place, mode = _place_of(path)
        aside = _aside(place)
        _under_way.add(aside)
        try:
            with open(aside, "xb") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, place)
            sync_folder(place.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        finally:
            _under_way.discard(aside)


def check_writable(path: Path) -> None:
    """Refuse, before any work, a place where no file can be written; nothing is left there.

    Args:
        path: Where a file is to lie; its folder must exist.

    Raises:
        NearfarError: The disk refuses, or something that is no file lies there.
    """
    with writing(path):
        place, _ = _place_of(path)
        aside = _aside(place)
        aside.touch(exist_ok=False)
        aside.unlink()


def append_line(path: Path, line: str) -> None:
    """Add one line to the end of a file.

    Raises:
        NearfarError: The disk is full or refuses.
    """
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in, where they are missing.

    Raises:
        NearfarError: The disk is full or refuses, or a file is in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NearfarError(f"cannot make the folder {path}: {_reason(error)}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into one line.

    Raises:
        NearfarError: An `OSError` came up inside.
    """
    try:
        yield
    except OSError as error:
        raise NearfarError(f"cannot write {path}: {_reason(error)}") from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder; what others call alike stays.

    Args:
        folder: Not looked into below; it may be missing.
    """
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            named = _ASIDE.fullmatch(path.name)
            if named is None or path in _under_way or not path.is_file():
                continue
            if not _is_alive(int(named["pid"])):
                path.unlink(missing_ok=True)


def _place_of(path: Path) -> tuple[Path, int | None]:
    """Where a file's content lies, links followed, and its permissions; None where it is new."""
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise NearfarError(f"cannot write {path}: it is {kind}, not a file; choose another name")
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    return place, None if found is None else stat.S_IMODE(found.st_mode)


def _aside(place: Path) -> Path:
    """A name beside a file that no other writer takes, and that says whose it is."""
    ending = f".{os.getpid()}-{secrets.token_hex(4)}{UNFINISHED}"
    # Names have 255 bytes at most; a long one is cut, and still says enough.
    name = os.fsdecode(os.fsencode(place.name)[: 200 - len(ending)])
    return place.with_name(name + ending)


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():  # a number that comes again, as 1 does in containers
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
