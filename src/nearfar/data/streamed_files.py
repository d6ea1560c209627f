"""Image files decoded when asked for."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import name_below
from nearfar.data.image_faults import told
from nearfar.data.source_spec import Fit, Pages
from nearfar.data.streamed_images import StreamedImages
from nearfar.data.tiff_files import file_and_page


class StreamedFiles(StreamedImages):
    """Image files on disk, each decoded into one shape.

    Args:
        files: Paths of the images.
        shape: `(channels, height, width)` that each is brought to.
        fit: How, as `read_image` takes it.
        pages: What pages of a file are, as `read_image` takes it.
        root: Folder that names in messages are given below; None gives whole paths.
    """

    def __init__(
        self,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        fit: Fit = "crop",
        pages: Pages = "first",
        root: Path | None = None,
    ) -> None:
        super().__init__(len(files), shape, fit, pages)
        # One block of bytes, not a million objects: worker processes share it without copying,
        # where counting references to objects would copy the whole list into each of them.
        self._paths = FilePaths.of(files).encoded()
        self._root = root

    def content(self, row: int) -> Path:
        """Where one image lies."""
        return Path(os.fsdecode(self._paths[row]))

    def called(self, row: int) -> str:
        """Its path, below the root where there is one."""
        path = self.content(row)
        return str(path) if self._root is None else name_below(path, self._root)

    def before_fault(self, row: int) -> str:
        """The path."""
        return told(self.content(row))

    def held(self, row: int) -> bytes:
        """What one file holds, as it lies there; nothing where it is gone."""
        with suppress(OSError):
            return file_and_page(self.content(row))[0].read_bytes()
        return b""

    def changed(self) -> Int64[ndarray, " n"]:
        """When each file was last changed, nanoseconds; −1 where it is gone."""
        return self._status("st_mtime_ns")

    def sizes(self) -> Int64[ndarray, " n"]:
        """Bytes of each file; −1 where it is gone."""
        return self._status("st_size")

    def _status(self, what: str) -> Int64[ndarray, " n"]:
        found = np.full(len(self), -1, dtype=np.int64)
        for place, row in enumerate(self.rows.tolist()):
            path = self._paths[row]
            if b".tif" in path.lower():  # a page, maybe; paths cost more than the system's answer
                path = file_and_page(self.content(row))[0]
            with suppress(OSError):
                found[place] = getattr(os.stat(path), what)
        return found
