"""Images inside larger files, each read by itself from where it lies and decoded when asked for."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from nearfar.data.file_reading import name_below, shown
from nearfar.data.image_faults import PassingImageError, UnreadableImageError
from nearfar.data.source_spec import Fit
from nearfar.data.streamed_images import StreamedImages
from nearfar.errors import NearfarError

_MOST_OPEN = 16
"""Larger files that a process holds open at a time."""


class ShardReader(Protocol):
    """One open file that holds images."""

    def read(self, place: int, size: int) -> bytes | None:
        """The bytes of one image; None where there are none.

        Args:
            place: Where it is: a row, or the byte it begins at.
            size: Its bytes, where they are known.
        """
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


@dataclass(frozen=True)
class Shard:
    """A file that holds images, as it was before anything was read of it.

    Attributes:
        path: Where it lies.
        size: Bytes.
        changed: When it was last changed, nanoseconds.
    """

    path: Path
    size: int
    changed: int

    @classmethod
    def now(cls, path: Path) -> "Shard":
        """The file as it is now.

        Raises:
            NearfarError: It is gone.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise NearfarError(f"{shown(path)}: cannot be read ({error.strerror})") from None
        return cls(path, status.st_size, status.st_mtime_ns)

    def require_unchanged(self) -> None:
        """Refuse to read a file by what was known of another.

        Raises:
            NearfarError: It is gone or was changed.
        """
        try:
            status = self.path.stat()
            what = "was changed"
            if (status.st_size, status.st_mtime_ns) == (self.size, self.changed):
                return
        except OSError as error:
            what = f"cannot be read any more ({error.strerror})"
        raise NearfarError(
            f"{shown(self.path)} {what} since it was opened: put it back as it was and go on with "
            "--resume, or start a new run"
        )


@dataclass(frozen=True)
class Places:
    """Where the images of a part lie.

    Attributes:
        shards: The files.
        numbers: Of each image which file.
        places: Where in it: a row, or the byte it begins at.
        sizes: Bytes of each, or what tells images apart as well where that is not known.
        opened: Opens a file.
    """

    shards: Sequence[Shard]
    numbers: Int64[ndarray, " n"]
    places: Int64[ndarray, " n"]
    sizes: Int64[ndarray, " n"]
    opened: Callable[[Path], ShardReader]


class ShardImages(StreamedImages):
    """Images inside larger files, which are never in memory together.

    Args:
        where: They lie.
        files: Name of each: the path of its file, and its own behind it.
        shape: `(channels, height, width)` that each is brought to.
        fit: How, as `read_image` takes it.
        root: Folder that names in messages are given below.
    """

    def __init__(
        self,
        where: Places,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        fit: Fit,
        root: Path,
    ) -> None:
        super().__init__(len(files), shape, fit)
        self._where = where
        self._names = np.array([os.fsencode(path) for path in files], dtype=np.bytes_)
        self._root = root
        self._readers = _Readers(where)

    def content(self, row: int) -> bytes:
        """The bytes of one image.

        Raises:
            PassingImageError: The system did not give them this time.
            UnreadableImageError: There are none.
            NearfarError: The file was changed since it was opened, or is gone.
        """
        where = self._where
        try:
            content = self._readers.read(
                int(where.numbers[row]), int(where.places[row]), int(where.sizes[row])
            )
        except OSError as error:
            raise PassingImageError(error.strerror or str(error)) from None
        if content is None:
            raise UnreadableImageError("no bytes in this row")
        return content

    def called(self, row: int) -> str:
        """Its file, below the root, and its name in it."""
        return name_below(Path(os.fsdecode(self._names[row])), self._root)

    def before_fault(self, row: int) -> str:  # noqa: ARG002  of bytes nobody knows whose they are
        """Nothing."""
        return ""

    def held(self, row: int) -> bytes:
        """The bytes of one image; nothing where there are none."""
        try:
            return self.content(row)
        except UnreadableImageError:
            return b""

    def changed(self) -> Int64[ndarray, " n"]:
        """When the file of each was last changed, nanoseconds."""
        stamps = np.array([shard.changed for shard in self._where.shards], dtype=np.int64)
        return stamps[self._where.numbers[self.rows]]

    def sizes(self) -> Int64[ndarray, " n"]:
        """Bytes of each, as `Places` has them."""
        return self._where.sizes[self.rows]


class _Readers:
    """The open files of this process; another process, by fork or not, opens its own."""

    def __init__(self, where: Places) -> None:
        self._where = where
        self._begin()

    def read(self, number: int, place: int, size: int) -> bytes | None:
        """The bytes of one image of one file."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            reader = self._open.get(number)
            if reader is None:
                shard = self._where.shards[number]
                shard.require_unchanged()
                reader = self._open[number] = self._where.opened(shard.path)
            self._open.move_to_end(number)
            content = reader.read(place, size)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            return content

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._open: OrderedDict[int, ShardReader] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """What another process is given: no open file."""
        return {"_where": self._where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin with no open file."""
        self._where = state["_where"]
        self._begin()
