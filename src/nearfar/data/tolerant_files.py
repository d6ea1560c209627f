"""Images decoded once each, where some may turn out to be unreadable; all those of a folder."""

import contextlib
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from nearfar.data.file_paths import FilePaths
from nearfar.data.folder_listing import list_all
from nearfar.data.image_faults import UnreadableImageError
from nearfar.data.image_files import IMAGES, pages_left_out, pillow_quiet, read_header
from nearfar.data.source import StreamedExamples
from nearfar.data.source_spec import Fit
from nearfar.data.streamed_files import StreamedFiles
from nearfar.data.streamed_images import StreamedImages
from nearfar.data.tiff_files import TIFF_SUFFIXES

_ALL_PAGES = "; `--data folder --data.root PATH --data.pages each` reads each as an image"
_SQUARE = 255


class TolerantImages(StreamedExamples):
    """Images on disk; one that cannot be read is a row of zeros and marked as such.

    An item is an image's values and one byte more, which carries what a worker process found: 0
    where the file cannot be read, 255 of a square, between them the image's proportions. `opened`
    takes batches apart.

    Args:
        images: Read one by one.
    """

    def __init__(self, images: StreamedImages) -> None:
        self.images = images
        self.image_shape = channels, height, width = images.shape
        self.shape = (channels * height * width + 1,)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> UInt8[Tensor, " values"]:
        """One image and the byte that tells of it."""
        row = torch.zeros(self.shape, dtype=torch.uint8)
        place = int(self.images.rows[index])
        try:
            with pillow_quiet():
                header = read_header(self.images.content(place))
                pixels = self.images.read(place)
        except UnreadableImageError:
            return row
        row[:-1] = pixels.flatten()
        sides = sorted((header.height, header.width))
        row[-1] = _SQUARE if sides[0] == sides[1] else 1 + int((_SQUARE - 2) * sides[0] / sides[1])
        return row

    def take(self, indices: Int64[Tensor, " m"]) -> "TolerantImages":
        """The chosen images, in the order of `indices`."""
        return TolerantImages(self.images.take(indices))

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
        """Why an image cannot be read, without its path; None where it can."""
        place = int(self.images.rows[index])
        try:
            with pillow_quiet():
                self.images.read(place)
        except UnreadableImageError as error:
            return str(error).removeprefix(self.images.before_fault(place))
        return None


def all_images(
    root: Path, shape: tuple[int, int, int], fit: Fit
) -> tuple[TolerantImages, FilePaths, list[str]]:
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
    paths = FilePaths.of(listing.files)
    headers = []
    for path in paths.ending_in(TIFF_SUFFIXES):
        # What cannot be read is told of when it is decoded.
        with contextlib.suppress(UnreadableImageError), pillow_quiet():
            headers.append(read_header(path))
    notes = [*listing.notes, *pages_left_out(headers, _ALL_PAGES)]
    return TolerantImages(StreamedFiles(paths, shape, fit)), paths, notes
