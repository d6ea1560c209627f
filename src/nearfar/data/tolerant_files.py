"""All image files below a folder, decoded once each, where some may turn out to be unreadable."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nearfar.data.file_reading import shown
from nearfar.data.folder_listing import list_all
from nearfar.data.image_files import (
    IMAGES,
    UnreadableImageError,
    pages_left_out,
    pillow_quiet,
    read_header,
    read_image,
)
from nearfar.data.source_spec import Fit
from nearfar.data.streamed_files import StreamedFiles
from nearfar.data.tiff_files import TIFF_SUFFIXES

_ALL_PAGES = "; `--data folder --data.root PATH --data.pages each` reads each as an image"
_SQUARE = 255


class TolerantFiles(StreamedFiles):
    """Image files on disk; one that cannot be read is a row of zeros and marked as such.

    An item is an image's values and one byte more, which carries what a worker process found: 0
    where the file cannot be read, 255 of a square, between them the image's proportions. `opened`
    takes batches apart.

    Args:
        files: Paths of the images.
        image_shape: `(channels, height, width)` that each is brought to.
        fit: How, as `read_image` takes it.
    """

    def __init__(
        self, files: Sequence[Path], image_shape: tuple[int, int, int], fit: Fit = "crop"
    ) -> None:
        super().__init__(files, image_shape, fit)
        self.image_shape = image_shape
        channels, height, width = image_shape
        self.shape = (channels * height * width + 1,)  # pyright: ignore[reportAttributeAccessIssue]

    def __getitem__(self, index: int) -> UInt8[Tensor, " values"]:
        """One image and the byte that tells of it."""
        row = torch.zeros(self.shape, dtype=torch.uint8)
        path = self.path(index)
        try:
            with pillow_quiet():
                header = read_header(path)
                pixels = read_image(path, self.image_shape, self.fit)
        except UnreadableImageError:
            return row
        row[:-1] = torch.tensor(pixels).flatten()
        sides = sorted((header.height, header.width))
        row[-1] = _SQUARE if sides[0] == sides[1] else 1 + int((_SQUARE - 2) * sides[0] / sides[1])
        return row

    def opened(
        self, rows: UInt8[Tensor, "batch values"]
    ) -> tuple[UInt8[Tensor, "batch channels height width"], Float[Tensor, " batch"]]:
        """The images of a batch, and each one's short side over its long one.

        Args:
            rows: Items, one below the other.

        Returns:
            Images, zeros where a file could not be read; 1 for a square, 0 for what could not be
            read.
        """
        told = rows[:, -1].cpu().float()
        shares = torch.where(told > 0, (told - 1) / (_SQUARE - 1), told)
        return rows[:, :-1].reshape(-1, *self.image_shape), shares

    def fault(self, index: int) -> str | None:
        """Why a file cannot be read, without its path; None where it can."""
        try:
            with pillow_quiet():
                read_image(self.path(index), self.image_shape, self.fit)
        except UnreadableImageError as error:
            return str(error).removeprefix(f"{shown(self.path(index))}: ")
        return None


def all_images(
    root: Path, shape: tuple[int, int, int], fit: Fit
) -> tuple[TolerantFiles, list[Path], list[str]]:
    """Every image below a folder, however it is laid out; nothing is decoded yet.

    Args:
        root: The folder.
        shape: That each image is brought to.
        fit: How.

    Returns:
        The images, their files in the same order, and notes on what was passed over, pages of
        TIFF files behind the first among it.

    Raises:
        NearfarError: There is no image.
    """
    listing = list_all(root, IMAGES)
    headers = []
    for path in listing.files:
        # What cannot be read is told of when it is decoded.
        if path.suffix.lower() in TIFF_SUFFIXES:
            with contextlib.suppress(UnreadableImageError), pillow_quiet():
                headers.append(read_header(path))
    notes = [*listing.notes, *pages_left_out(headers, _ALL_PAGES)]
    return TolerantFiles(listing.files, shape, fit), listing.files, notes
