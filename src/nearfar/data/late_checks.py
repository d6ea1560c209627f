"""Many images that are not decoded before training: what is judged of them by a few, and how."""

from collections.abc import Container, Sequence
from math import prod
from pathlib import Path

import torch

from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.common_shape import common_shape
from nearfar.data.file_faults import Faults
from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing, source_of_parts
from nearfar.data.image_files import IMAGES, read_header
from nearfar.data.source import Source
from nearfar.data.specs import PictureFilesSpec
from nearfar.data.streamed_files import StreamedFiles
from nearfar.data.tiff_files import TIFF_SUFFIXES
from nearfar.errors import NearfarError

AT_ONCE = 10_000
"""So many images are all decoded when they are opened: that takes a minute at most."""
LOOKED_AT = 1_000
"""Of more, so many headers are read."""


def load_late(
    spec: PictureFilesSpec, root: Path, listings: list[Listing], notes: list[str]
) -> Source | None:
    """The source of many image files, of which a thousand headers alone are read.

    Args:
        spec: How they are read.
        root: Folder that names are given below.
        listings: Of the parts.
        notes: What is to be said first.

    Returns:
        The source, streamed; None where all files are decoded beforehand: they are few or fit into
        memory, or their bands and pages must be known.

    Raises:
        NearfarError: Too many of those that are looked at cannot be read.
    """
    files = [path for listing in listings for path in listing.files]
    if len(files) <= AT_ONCE or any(path.suffix.lower() in TIFF_SUFFIXES for path in files):
        return None
    reader = FileReader(
        root,
        total=len(files),
        kind=IMAGES.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    looked_at = spread(files)
    headers = reader.keep_good(read_header, looked_at)
    refuse_by_sample(reader, len(looked_at))
    shape, shape_notes = common_shape(list(headers.values()), spec)
    if len(files) * prod(shape) <= spec.in_memory_mib * 2**20:
        return None
    faults = Faults(str(root), total=len(files), kind=IMAGES.name, max_corrupt=spec.max_corrupt)

    def read(listing: Listing, rows: list[int]) -> tuple[CheckedWhenRead, list[int]]:
        images = StreamedFiles(listing.files, shape, spec.fit, root=root)
        return CheckedWhenRead(images, listing.labels, faults), rows

    notes += [late_note(len(files), faults.kind), *shape_notes]
    everything = Everything()
    reader.faults.clear()  # told of when they are read
    return source_of_parts(spec, IMAGES, listings, reader, everything, read, notes)


class Everything(Container[Path]):
    """Holds whatever is asked for."""

    def __contains__(self, thing: object) -> bool:
        """Yes."""
        return True


def spread(things: Sequence[Path]) -> list[Path]:
    """At most `LOOKED_AT` of them, evenly spread from the first on."""
    chosen = min(len(things), LOOKED_AT)
    return [things[place] for place in (torch.arange(chosen) * len(things) // chosen).tolist()]


def refuse_by_sample(reader: FileReader, looked_at: int) -> None:
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


def late_note(count: int, kind: str) -> str:
    """What is done differently with so many."""
    return (
        f"{count:,} {kind}s, more than {AT_ONCE:,}: size and channels are judged by "
        f"{LOOKED_AT:,} of them, and each is checked when it is first read"
    )
