"""The runs below a folder, by names of our own: a request names no path, so none leads out."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfar.errors import NearfarError
from nearfar.outside_text import printable
from nearfar.run_folder import names
from nearfar.run_folder.glance import is_run
from nearfar.run_folder.lock import is_locked
from nearfar.run_folder.replacing import is_unsettled
from nearfar.sweeps.found_runs import FoundRun, name_below, read_row, run_folders

_AGE = 1.0
"""Seconds for which a listing is kept at least."""
_SHARE = 5
"""A listing is kept for so many times as long as it took, so that a huge folder is not read
without a pause."""
_LOOKED_AT = (
    names.MANIFEST,
    names.CONFIG,
    names.ENVIRONMENT,
    names.METRICS,
    names.ENCODER_SETTINGS,
    names.EVALUATION,
)
"""Files of a run that its row is read from."""


class NoSuchRunError(NearfarError):
    """A run that is not there, or no longer."""


@dataclass(frozen=True)
class Listing:
    """What lies below the folder.

    Attributes:
        runs: By their ids, in the order of their names.
        broken: A line for each folder that cannot be read.
    """

    runs: dict[str, FoundRun]
    broken: list[str]


class RunsBelow:
    """Looks through a folder, and reads again only the runs whose files changed.

    Args:
        folder: Any that exists; it may be a run itself.

    Raises:
        NearfarError: There is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NearfarError(f"no folder at {folder}: check the path")
        self.folder = folder
        self._lock = threading.Lock()
        self._paths: dict[str, Path] = {}
        self._read: dict[Path, tuple[tuple, FoundRun | str]] = {}
        self._listing = Listing({}, [])
        self._until = -1.0

    def listing(self) -> Listing:
        """All runs, a few seconds old; while another thread looks anew, what it found before."""
        # Only the first look is waited for by all: a huge folder takes long.
        if self._lock.acquire(blocking=self._until < 0):
            try:
                began = time.monotonic()
                if began >= self._until:
                    self._look()
                    ended = time.monotonic()
                    self._until = ended + max(_AGE, _SHARE * (ended - began))
            finally:
                self._lock.release()
        return self._listing

    def path(self, run: str) -> Path:
        """The folder of a run, as it is now.

        Args:
            run: Its id.

        Raises:
            NoSuchRunError: No run of this id has been listed, or it is gone.
            NearfarError: It leads out of the folder, or is being put right.
        """
        if run not in self._paths:
            self.listing()
        path = self._paths.get(run)
        if path is None or not is_run(path):
            raise NoSuchRunError("there is no such run, or no longer")
        self._refuse_to_leave(path)
        if is_unsettled(path):
            raise NearfarError(
                f"{printable(str(path))}: a process died while it replaced this run; "
                "`nearfar report` of it puts it right"
            )
        return path

    def name(self, run: str) -> str:
        """What a run that has been found is called, safe to show."""
        return printable(name_below(self._paths[run], self.folder))

    def _look(self) -> None:
        broken: list[str] = []
        paths: dict[str, Path] = {}
        runs: dict[str, FoundRun] = {}
        read: dict[Path, tuple[tuple, FoundRun | str]] = {}
        for path in run_folders(self.folder, broken):
            run = _id(path, self.folder)
            signs = _signs(path)
            kept = self._read.get(path)
            if kept is None or kept[0] != signs:
                kept = signs, self._row(path)
            read[path], paths[run] = kept, path
            if isinstance(kept[1], FoundRun):
                runs[run] = kept[1]
            else:
                broken.append(kept[1])
        self._paths, self._read, self._listing = paths, read, Listing(runs, broken)

    def _row(self, path: Path) -> FoundRun | str:
        """The run's row, or why there is none."""
        try:
            self._refuse_to_leave(path)
            return read_row(name_below(path, self.folder), path)
        except NearfarError as error:
            return printable(str(error))
        except OSError as error:  # gone, or shut, between one look and the next
            return printable(f"cannot read {path}: {error.strerror}")

    def _refuse_to_leave(self, path: Path) -> None:
        """Refuse a run whose folder or files lie elsewhere.

        Raises:
            NearfarError: Naming what leads out.
        """
        home = self.folder.resolve()
        for each in (path, *_links(path)):
            if not each.resolve().is_relative_to(home):
                raise NearfarError(
                    f"{printable(str(each))} leads out of {printable(str(self.folder))}: not read"
                )


def _links(path: Path) -> Iterator[Path]:
    """The symbolic links in a folder."""
    try:
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_symlink()]
    except OSError as error:
        raise NearfarError(f"cannot read {printable(str(path))}: {error.strerror}") from error
    yield from map(Path, found)


def _id(path: Path, folder: Path) -> str:
    """The same for the same folder, whatever characters its name has."""
    return hashlib.blake2b(os.fsencode(path.relative_to(folder)), digest_size=8).hexdigest()


def _signs(path: Path) -> tuple:
    """By what it is seen that a run was written in: no file is opened but its lock."""
    signs: list[object] = [is_locked(path)]
    for name in _LOOKED_AT:
        try:
            seen = (path / name).stat()
            signs.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
        except OSError:
            signs.append(None)
    return tuple(signs)
