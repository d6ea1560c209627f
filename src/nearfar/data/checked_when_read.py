"""Images that are checked when they are first read: others stand in for those that cannot be."""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray
from torch import Tensor

from nearfar.data.file_faults import Faults
from nearfar.data.image_faults import PassingImageError, UnreadableImageError
from nearfar.data.source import StreamedExamples
from nearfar.data.streamed_images import StreamedImages

STAND_IN_SEED = 2
"""Seed of the draw, fixed: in every run the same image stands in for one that cannot be read."""

_TRIES = 20
"""Images that are tried, of each group, to stand in for one."""
_OTHER_CLASS = "; one of another class stands in, as none of its own could be read"


class CheckedWhenRead(StreamedExamples):
    """Images that nobody has decoded before; what stands in for one that cannot be read is fixed.

    Of an image that cannot be read another one of the same class and part is given, drawn by the
    place that the image has in the listing alone. So what an index gives depends on what lies on
    the disk and on nothing else: not on when it is read, nor by which process, nor on what was
    found before. Every image that could not be read is in the account.

    Args:
        images: All of them, in the order of the listing.
        classes: Class of each by any name or number; None where there are none.
        faults: The account, shared by all parts of a source.
    """

    def __init__(
        self, images: StreamedImages, classes: Sequence[str] | None, faults: Faults
    ) -> None:
        self.images = images
        self.shape = images.shape
        self.faults = self.account = faults
        numbers: dict[str, int] = {}
        self._classes = np.zeros(len(images), dtype=np.int32)
        if classes is not None:
            self._classes[:] = [numbers.setdefault(name, len(numbers)) for name in classes]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> UInt8[Tensor, "channels height width"]:
        """One decoded image, 0 to 255, or what stands in for it.

        Raises:
            PassingImageError: The system did not give it this time.
            UnreadableImageError: Nothing could be read in its place.
        """
        return self.given(index)[0]

    def given(self, index: int) -> tuple[UInt8[Tensor, "channels height width"], int]:
        """What an index gives, and the index of the image that it is; −1 where it is of no index.

        Raises:
            PassingImageError: The system did not give it this time.
            UnreadableImageError: Nothing could be read in its place.
        """
        row = int(self.images.rows[index])
        faults: dict[int, str] = {}
        for each, same_class in self._tries(row):
            try:
                pixels = self.images.read(each)
            except PassingImageError:
                raise
            except UnreadableImageError as error:
                faults[each] = str(error).removeprefix(self.images.before_fault(each))
                continue
            if faults and not same_class:
                faults[row] += _OTHER_CLASS
            self.account.add((self.images.called(each), fault) for each, fault in faults.items())
            return pixels, index if each == row else self._index_of(each)
        raise UnreadableImageError(
            f"{self.account.where}: {self.images.called(row)} cannot be read ({faults[row]}), nor "
            f"any of {len(faults) - 1} images that were to stand in for it: see whether they are "
            "all there, then go on with --resume"
        )

    def take(self, indices: Int64[ndarray, " m"] | Int64[Tensor, " m"]) -> "CheckedWhenRead":
        """The chosen images, in the order of `indices`: from now on a part by themselves."""
        chosen = copy.copy(self)
        chosen.images = self.images.take(indices)
        return chosen

    def _index_of(self, row: int) -> int:
        """Where a row of the listing is among these images; −1 where it is no part of them."""
        places = np.flatnonzero(self.images.rows == row)
        return int(places[0]) if len(places) else -1

    def _tries(self, row: int) -> Iterator[tuple[int, bool]]:
        """The image itself, then what may stand in for it, and whether that is of its class.

        What is no part of these images comes last: a few of them may have been taken to be shown.
        """
        yield row, True
        tried = {row}
        own, every = self.images.rows, np.arange(len(self._classes))
        for pool, same_class in ((own, True), (own, False), (every, True), (every, False)):
            group = pool[self._classes[pool] == self._classes[row]] if same_class else pool
            # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
            random = np.random.RandomState([STAND_IN_SEED, row])
            for place in random.randint(len(group), size=_TRIES).tolist():
                each = int(group[place])
                if each not in tried:
                    tried.add(each)
                    yield each, bool(self._classes[each] == self._classes[row])
