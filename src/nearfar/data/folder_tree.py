"""All files under a folder: those of one kind, and a count of what else lies there."""

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import shown
from nearfar.errors import NearfarError
from nearfar.modality import Modality

_MOST_NAMED = 8

# What operating systems and file servers leave behind, which is nobody's data: never counted.
_OF_THE_SYSTEM = frozenset(
    name.lower()
    for name in (
        *(".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", ".directory"),
        *("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
    )
)

_THINGS = ("hidden folder", "broken link", "pipe or device")

_ENDING = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,12}~?")
"""What counts as the ending of a name: `.jpg`, and not the `.0001` of a frame or `.jpg_large`."""


@dataclass(frozen=True)
class FileKind:
    """Which files are wanted.

    Attributes:
        name: What one of them holds, for messages: image, sound.
        formats: The usual formats, for messages.
        suffixes: Endings by which they are known, in lower case.
        modality: What they hold.
        recognised: Whether a file without an ending is one of them, told by its content.
    """

    name: str
    formats: str
    suffixes: frozenset[str]
    modality: Modality
    recognised: Callable[[Path], bool]


@dataclass
class Folder:
    """One folder of a tree.

    Attributes:
        path: Where it is.
        files: Names of the wanted files right in it, sorted.
        folders: Its sub-folders, sorted by name.
        left_out: How many other things lie right in it, by what they are (`.txt`, hidden…).
    """

    path: Path
    files: list[str] = field(default_factory=list)
    folders: list["Folder"] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """Its own name, as text for a message."""
        return shown(Path(self.path.name))

    def tree(self) -> Iterator["Folder"]:
        """This folder and all below it, depth first in order of name."""
        waiting: list[Folder] = [self]  # no recursion: paths may be deeper than Python's stack
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting.extend(reversed(folder.folders))

    def all_files(self) -> FilePaths:
        """Wanted files in it and below it, those of a folder before those of its sub-folders."""
        texts: list[str] = []
        for folder in self.tree():
            before = os.fspath(folder.path / "_")[:-1]
            texts += [before + name for name in folder.files]
        return FilePaths(texts)

    def count(self) -> int:
        """How many wanted files are in it and below it."""
        return sum(len(folder.files) for folder in self.tree())

    def any_files(self) -> bool:
        """Whether a wanted file is in it or below it."""
        return any(folder.files for folder in self.tree())

    def all_left_out(self) -> Counter[str]:
        """What else lies in it or below it."""
        total: Counter[str] = Counter()
        for folder in self.tree():
            total += folder.left_out
        return total

    def filled(self) -> list["Folder"]:
        """The sub-folders that wanted files are in or below."""
        return [folder for folder in self.folders if folder.any_files()]


def walk(root: Path, kind: FileKind) -> tuple[Folder, list[str]]:
    """All folders and files below a folder.

    A folder that was already read under another name is not read again, which ends loops of
    symbolic links. Hidden files and folders are counted and not read.

    Args:
        root: Where to begin.
        kind: Which files are wanted.

    Returns:
        The tree, and notes on what was not read.

    Raises:
        NearfarError: A folder cannot be read.
    """
    notes: list[str] = []
    seen: set[tuple[int, int]] = set()
    top = Folder(root)
    waiting: list[tuple[Folder, Folder | None]] = [(top, None)]
    while waiting:
        folder, parent = waiting.pop()
        try:
            status = folder.path.stat()
            if (status.st_dev, status.st_ino) in seen:
                notes.append(f"passed over {shown(folder.path)}: a link to a folder already read")
                continue
            seen.add((status.st_dev, status.st_ino))
            inner = _fill(folder, kind)
        except OSError as error:
            raise NearfarError(f"{shown(folder.path)}: cannot be read ({error.strerror})") from None
        if parent is not None:
            parent.folders.append(folder)
        waiting += [(Folder(folder.path / name), folder) for name in reversed(inner)]
    left_out = top.all_left_out()
    if left_out:
        notes.append(f"left out, as no {kind.name}s: {counted(left_out)}")
    return top, notes


def _fill(folder: Folder, kind: FileKind) -> list[str]:
    """Put what lies right in a folder into it, but for its sub-folders, whose names are given."""
    inner: list[str] = []
    with os.scandir(folder.path) as entries:
        for entry in entries:
            what = _what(entry, kind)
            if what == "wanted":
                folder.files.append(entry.name)
            elif what == "folder":
                inner.append(entry.name)
            elif what is not None:
                folder.left_out[what] += 1
    folder.files.sort()
    return sorted(inner)


def counted(left_out: Counter[str]) -> str:
    """What was left out in words, the most frequent first: `12 .heic, 1 without an ending`."""
    ordered = sorted(left_out.items(), key=lambda each: (-each[1], each[0]))
    words = ", ".join(
        many(count, what) if what in _THINGS else f"{count} {what}"
        for what, count in ordered[:_MOST_NAMED]
    )
    more = len(ordered) - _MOST_NAMED
    return words + (f" and {more} more kinds" if more > 0 else "")


def many(count: int, thing: str) -> str:
    """A number of things in words: `1 image`, `2 images`."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _what(entry: os.DirEntry, kind: FileKind) -> str | None:
    """`folder`, `wanted`, what the entry is in words, or None where it counts for nothing.

    A broken link of the right ending is wanted: it stands for a file that is missing, and reading
    it says so. Pipes and devices are not, whatever their name: opening them could wait for ever.
    """
    name = entry.name
    if name.lower() in _OF_THE_SYSTEM or name.startswith("._"):
        return None
    if name.startswith("."):
        if os.path.isdir(entry.path):
            return "hidden folder"
        return "hidden" if _ending(os.path.splitext(name)[1]) in kind.suffixes else None
    ending = _ending(name[dot:]) if (dot := name.rfind(".")) > 0 else ""
    try:
        # Of what is no link the listing itself says it, which spares a million calls.
        if not entry.is_file():
            return "folder" if stat.S_ISDIR(entry.stat().st_mode) else "pipe or device"
    except OSError:  # a link that leads nowhere, or to itself
        return "wanted" if ending in kind.suffixes else "broken link"
    if ending in kind.suffixes or (not ending and kind.recognised(Path(entry.path))):
        return "wanted"
    return ending or "without an ending"


@lru_cache(maxsize=1024)
def _ending(suffix: str) -> str:
    """A suffix in lower case where it counts as one; else nothing."""
    return suffix.lower() if _ENDING.fullmatch(suffix) else ""
