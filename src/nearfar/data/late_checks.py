"""Many images that are not decoded before training: what is judged of them by a few, and how."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from math import prod
from pathlib import Path

from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.common_shape import common_shape
from nearfar.data.file_faults import Faults
from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing
from nearfar.data.image_files import IMAGES, ImageHeader, read_header
from nearfar.data.listed_source import source_of_parts
from nearfar.data.normalisation import evenly_spread
from nearfar.data.source import Source
from nearfar.data.source_spec import PicturesSpec
from nearfar.data.streamed_images import StreamedImages
from nearfar.errors import NearfarError

AT_ONCE = 10_000
"""So many images are all decoded when they are opened: that takes a minute at most."""
LOOKED_AT = 1_000
"""Of more, so many headers are read."""
ANY_SHAPE = (3, 1, 1)
"""Of images whose own shape is not known yet."""


def load_late(
    spec: PicturesSpec,
    root: Path,
    listings: list[Listing],
    images_of: Callable[[Listing], StreamedImages],
    notes: list[str],
) -> Source | None:
    """The source of many images, of which a thousand headers alone are read.

    Args:
        spec: How they are read.
        root: Folder that names are given below.
        listings: Of the parts.
        images_of: The images of a part, in any shape.
        notes: What is to be said first.

    Returns:
        The source, streamed; None where all images are decoded beforehand: they are few or fit into
        memory.

    Raises:
        NearfarError: Too many of those that are looked at cannot be read.
    """
    total = sum(len(listing.files) for listing in listings)
    if total <= AT_ONCE:
        return None
    reader = FileReader(
        root,
        total=total,
        kind=IMAGES.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    images = {id(listing): images_of(listing) for listing in listings}
    looked_at = _spread(listings)

    def header_of(path: Path) -> ImageHeader:
        listing, row = looked_at[path]
        return read_header(images[id(listing)].content(row))

    headers = reader.keep_good(header_of, list(looked_at))
    _refuse_by_sample(reader, len(looked_at))
    shape, shape_notes = common_shape(list(headers.values()), spec)
    if total * prod(shape) <= spec.in_memory_mib * 2**20:
        return None
    stands_in = "another of the same class"
    if spec.second_modality is not None:
        stands_in = "another, with what is beside it,"
    faults = Faults(
        str(root),
        total=total,
        kind=IMAGES.name,
        max_corrupt=spec.max_corrupt,
        stands_in=stands_in,
    )

    def read(listing: Listing, rows: list[int]) -> tuple[CheckedWhenRead, list[int]]:
        shaped = images[id(listing)].brought_to(shape)
        return CheckedWhenRead(shaped, listing.labels, faults), rows

    notes += [
        f"{total:,} {IMAGES.name}s, more than {AT_ONCE:,}: size and channels are judged by "
        f"{LOOKED_AT:,} of them, and each is checked when it is first read",
        *shape_notes,
    ]
    reader.faults.clear()  # told of when they are read
    return source_of_parts(spec, IMAGES, listings, reader, None, read, notes)


def _spread(listings: list[Listing]) -> dict[Path, tuple[Listing, int]]:
    """At most `LOOKED_AT` images, evenly spread over all: of each its part and its row there."""
    ends = list(accumulate(len(listing.files) for listing in listings))
    chosen: dict[Path, tuple[Listing, int]] = {}
    for number in evenly_spread(ends[-1], LOOKED_AT).tolist():
        part = bisect_right(ends, number)
        listing = listings[part]
        row = number - ends[part] + len(listing.files)
        chosen[listing.files[row]] = listing, row
    return chosen


def _refuse_by_sample(reader: FileReader, looked_at: int) -> None:
    """Refuse a source where those that were looked at leave no doubt that too many are unreadable.

    Raises:
        NearfarError: None of them can be read, or the share among them is over `max_corrupt` by
            four standard deviations.
    """
    found = len(reader.faults)
    if found == looked_at or found - 4 * found**0.5 > reader.max_corrupt * looked_at:
        raise NearfarError(
            f"{reader.root}: {found} of {looked_at:,} {reader.kind}s that were looked at cannot be "
            f"read, and so too many of all {reader.total:,}: over data.max_corrupt="
            f"{reader.max_corrupt:g}; mend or remove them, or raise that share: {reader.named()}"
        )
