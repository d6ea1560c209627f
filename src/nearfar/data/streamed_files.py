"""Image files decoded when asked for."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from torch import Tensor

from nearfar.data.image_files import UnreadableImageError, read_image
from nearfar.data.source import StreamedExamples
from nearfar.data.source_spec import Fit, Pages
from nearfar.data.tiff_files import file_and_page


class StreamedFiles(StreamedExamples):
    """Image files on disk, each decoded into one shape.

    Args:
        files: Paths of the images.
        shape: `(channels, height, width)` that each is brought to.
        fit: How, as `read_image` takes it.
        pages: What pages of a file are, as `read_image` takes it.
    """

    def __init__(
        self,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        fit: Fit = "crop",
        pages: Pages = "first",
    ) -> None:
        # One block of bytes, not a million objects: worker processes share it without copying,
        # where counting references to objects would copy the whole list into each of them.
        self._paths = np.array([os.fsencode(path) for path in files], dtype=np.bytes_)
        self.shape: tuple[int, int, int] = shape
        self.fit: Fit = fit
        self.pages: Pages = pages

    def __len__(self) -> int:
        """The number of images."""
        return len(self._paths)

    def __getitem__(self, index: int) -> UInt8[Tensor, "channels height width"]:
        """One decoded image, 0 to 255.

        Raises:
            UnreadableImageError: If the file is damaged or gone.
        """
        path = self.path(index)
        try:
            return torch.from_numpy(read_image(path, self.shape, self.fit, self.pages))
        except UnreadableImageError as error:
            raise UnreadableImageError(
                f"{error}; put a good copy in its place, then go on with --resume"
            ) from None

    def path(self, index: int) -> Path:
        """Where one image lies."""
        return Path(os.fsdecode(self._paths[index]))

    def changed(self) -> Int64[ndarray, " n"]:
        """When each file was last changed, nanoseconds; −1 where it is gone."""
        found = np.full(len(self._paths), -1, dtype=np.int64)
        for place, path in enumerate(self._paths):
            with suppress(OSError):
                found[place] = os.stat(file_and_page(Path(os.fsdecode(path)))[0]).st_mtime_ns
        return found

    def sizes(self) -> Int64[ndarray, " n"]:
        """Bytes of each file; −1 where it is gone."""
        found = np.full(len(self._paths), -1, dtype=np.int64)
        for place, path in enumerate(self._paths):
            with suppress(OSError):
                found[place] = os.stat(file_and_page(Path(os.fsdecode(path)))[0]).st_size
        return found

    def content(self, index: int) -> bytes:
        """What one file holds, as it lies there; nothing where it is gone."""
        with suppress(OSError):
            return file_and_page(self.path(index))[0].read_bytes()
        return b""

    def take(self, indices: Int64[ndarray, " m"]) -> "StreamedFiles":
        """The chosen images, in the order of `indices`."""
        chosen = StreamedFiles([], self.shape, self.fit, self.pages)
        chosen._paths = self._paths[indices]
        return chosen
