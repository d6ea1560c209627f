"""Images decoded when asked for, wherever their bytes lie."""

import copy

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from torch import Tensor

from nearfar.data.image_faults import Content, PassingImageError, UnreadableImageError
from nearfar.data.image_files import read_image
from nearfar.data.source import StreamedExamples
from nearfar.data.source_spec import Fit, Pages


class StreamedImages(StreamedExamples):
    """Images on disk, each decoded into one shape.

    Args:
        count: How many there are.
        shape: `(channels, height, width)` that each is brought to.
        fit: How, as `read_image` takes it.
        pages: What pages of a file are, as `read_image` takes it.
    """

    def __init__(
        self, count: int, shape: tuple[int, int, int], fit: Fit = "crop", pages: Pages = "first"
    ) -> None:
        self.rows = np.arange(count)
        """Of each image its place among those that lie there."""
        self.shape: tuple[int, int, int] = shape
        self.fit: Fit = fit
        self.pages: Pages = pages

    def __len__(self) -> int:
        """The number of images."""
        return len(self.rows)

    def __getitem__(self, index: int) -> UInt8[Tensor, "channels height width"]:
        """One decoded image, 0 to 255.

        Raises:
            UnreadableImageError: If it is damaged or gone.
        """
        try:
            return self.read(int(self.rows[index]))
        except PassingImageError:
            raise
        except UnreadableImageError as error:
            raise UnreadableImageError(
                f"{error}; put a good copy in its place, then go on with --resume; a copy of "
                "another size makes other data, which need a new run"
            ) from None

    def read(self, row: int) -> UInt8[Tensor, "channels height width"]:
        """One decoded image by its place among those that lie there.

        Raises:
            PassingImageError: The system did not give it this time.
            UnreadableImageError: If it is damaged or gone.
        """
        try:
            pixels = read_image(self.content(row), self.shape, self.fit, self.pages)
        except PassingImageError as error:
            fault = str(error).removeprefix(self.before_fault(row))
            raise PassingImageError(
                f"{self.called(row)}: {fault}; see to it, then go on with --resume"
            ) from None
        return torch.from_numpy(pixels)

    def before_fault(self, row: int) -> str:
        """What an error of `read` begins with, before it says what is wrong."""
        raise NotImplementedError

    def take(self, indices: Int64[ndarray, " m"] | Int64[Tensor, " m"]) -> "StreamedImages":
        """The chosen images, in the order of `indices`."""
        chosen = copy.copy(self)
        chosen.rows = self.rows[np.asarray(indices)]
        return chosen

    def brought_to(self, shape: tuple[int, int, int]) -> "StreamedImages":
        """The same images, each brought to another shape."""
        other = copy.copy(self)
        other.shape = shape
        return other

    def content(self, row: int) -> Content:
        """What is decoded: the path of a file, or bytes.

        Raises:
            UnreadableImageError: There are no bytes.
        """
        raise NotImplementedError

    def called(self, row: int) -> str:
        """What an image is called in messages."""
        raise NotImplementedError

    def held(self, row: int) -> bytes:
        """The bytes of an image as they lie there; nothing where it is gone."""
        raise NotImplementedError

    def changed(self) -> Int64[ndarray, " n"]:
        """When each was last changed, nanoseconds; −1 where it is gone."""
        raise NotImplementedError

    def sizes(self) -> Int64[ndarray, " n"]:
        """Bytes of each; −1 where it is gone."""
        raise NotImplementedError
