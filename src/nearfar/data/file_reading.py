"""Many files read in threads, with an account of those that cannot be read."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from nearfar.data.file_faults import named, too_many
from nearfar.errors import NearfarError

T = TypeVar("T")


class UnreadableFileError(NearfarError):
    """A file that is not what its name says, a damaged one, or one that is not safe to decode."""


def shown(path: Path) -> str:
    """A path as text for a message: one line, nothing that a terminal would obey.

    Args:
        path: Any path; file names may hold line feeds, escapes and bytes of no encoding.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class FileReader:
    """Reads many files in threads and keeps account of the unreadable ones.

    Args:
        root: Folder that all of them are below.
        total: Number of files that `max_corrupt` is a share of.
        kind: What a file holds, for messages.
        max_corrupt: Largest share of unreadable files.
        threads: How many read; 0 is one.
    """

    def __init__(
        self, root: Path, *, total: int, kind: str, max_corrupt: float, threads: int
    ) -> None:
        self.root = root
        self.kind = kind
        self.max_corrupt = max_corrupt
        self.total = total
        self.threads = max(1, threads)
        self.faults: dict[Path, str] = {}

    def keep_good(self, read: Callable[[Path], T], files: Sequence[Path]) -> dict[Path, T]:
        """What `read` gives for each readable file, in order; refuse too many unreadable ones.

        Args:
            read: Raises an `UnreadableFileError` where it cannot.
            files: Paths below the root.

        Raises:
            NearfarError: More than `max_corrupt` of all files, or all, are unreadable.
        """
        good: dict[Path, T] = {}
        # Pillow lets go of the interpreter's lock while it decodes. Nothing that a reader does may
        # hang on a setting of the whole process, such as warnings made errors for a while: the
        # threads would switch it on and off for each other.
        with ThreadPoolExecutor(self.threads) as threads:
            for path, result in zip(files, threads.map(_or_fault(read), files), strict=True):
                if isinstance(result, UnreadableFileError):
                    self.faults[path] = str(result).removeprefix(f"{shown(path)}: ")
                else:
                    good[path] = result
        told = too_many(
            str(self.root), len(self.faults), self.total, self.kind, self.max_corrupt, self.named()
        )
        if told:
            raise NearfarError(told)
        return good

    def notes(self) -> list[str]:
        """What was skipped, by name."""
        if not self.faults:
            return []
        return [f"skipped {len(self.faults)} of {self.total} {self.kind}s: {self.named()}"]

    def named(self) -> str:
        """The first unreadable files with their faults."""
        ordered = sorted(self.faults.items())
        below = ((shown(_below(path, self.root)), fault) for path, fault in ordered)
        return named(below, len(ordered))


def _or_fault(read: Callable[[Path], T]) -> Callable[[Path], T | UnreadableFileError]:
    """The reader, made to return its error."""

    def attempt(path: Path) -> T | UnreadableFileError:
        try:
            return read(path)
        except UnreadableFileError as error:
            return error

    return attempt


def name_below(path: Path, root: Path) -> str:
    """The file's name relative to the root, as text that can be written anywhere.

    Of one that a table names elsewhere it is the whole path.
    """
    # By bytes: pathlib takes ten times as long, which a million files feel.
    base, name = os.fsencode(root).rstrip(b"/") + b"/", os.fsencode(path)
    return name.removeprefix(base).decode("utf-8", "backslashreplace")


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
