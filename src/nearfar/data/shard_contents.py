"""A source of images that lie inside larger files: in memory, or streamed from where they lie."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch

from nearfar.data.common_shape import common_shape
from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing
from nearfar.data.image_faults import UnreadableImageError
from nearfar.data.image_files import (
    IMAGES,
    ImageHeader,
    pages_left_out,
    pillow_quiet,
    read_header,
    read_image,
)
from nearfar.data.late_checks import ANY_SHAPE, load_late
from nearfar.data.listed_source import source_of_parts
from nearfar.data.shard_images import Places, ShardImages
from nearfar.data.source import Examples, Source
from nearfar.data.specs import PicturesSpec
from nearfar.errors import SettingError


@dataclass(frozen=True)
class PartInShards:
    """The images of one part.

    Attributes:
        listing: Their names and labels.
        contents: What some images at a time hold, by the name of each, in order; None where that is
            nothing.
        where: They lie, one by one; or why they cannot be read one by one.
    """

    listing: Listing
    contents: Callable[[], Iterator[dict[Path, bytes | None]]]
    where: Places | str


@pillow_quiet()
def load_contents(
    spec: PicturesSpec,
    base: Path,
    parts: Sequence[PartInShards],
    notes: list[str],
) -> Source:
    """The source of images that lie inside larger files.

    Args:
        spec: How they are read.
        base: Folder that names are given below.
        parts: The training part and, where there is one, the test part.
        notes: What is to be said first.

    Raises:
        NearfarError: Too many images cannot be read.
        SettingError: They are larger than `in_memory_mib`, and cannot be read one by one.
    """
    listings = [part.listing for part in parts]
    reader = FileReader(
        base,
        total=sum(len(listing.files) for listing in listings),
        kind=IMAGES.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    places = {id(part.listing): part.where for part in parts if isinstance(part.where, Places)}
    if len(places) == len(parts):

        def images_of(listing: Listing) -> ShardImages:
            where = places[id(listing)]
            return ShardImages(where, listing.files, ANY_SHAPE, spec.fit, base)

        late = load_late(spec, base, listings, images_of, notes)
        if late is not None:
            return late
    headers: dict[Path, ImageHeader] = {}
    for part in parts:
        for contents in part.contents():

            def header_of(row: Path, contents: dict[Path, bytes | None] = contents) -> ImageHeader:
                return read_header(_there(contents[row]))

            headers |= reader.keep_good(header_of, list(contents))
    notes += pages_left_out(headers.values())
    shape, shape_notes = common_shape(list(headers.values()), spec)
    notes += shape_notes
    size = len(headers) * prod(shape)
    keep = size <= spec.in_memory_mib * 2**20
    part_of = {id(part.listing): part for part in parts}

    def read(listing: Listing, rows: list[int]) -> tuple[Examples, list[int]]:
        part = part_of[id(listing)]
        pixels, kept = _decoded(part, rows, shape, spec, reader, keep=keep)
        if pixels is not None:
            return torch.from_numpy(pixels), kept
        images = ShardImages(_places(part, spec, size), listing.files, shape, spec.fit, base)
        return images.take(np.array(kept, dtype=np.int64)), kept

    for part in () if keep else parts:
        _places(part, spec, size)  # refused before they are decoded
    return source_of_parts(spec, IMAGES, listings, reader, headers, read, notes)


def _decoded(
    part: PartInShards,
    rows: list[int],
    shape: tuple[int, int, int],
    spec: PicturesSpec,
    reader: FileReader,
    *,
    keep: bool,
) -> tuple[np.ndarray | None, list[int]]:
    """The images of some rows, or None where none is kept, and the rows that could be decoded."""
    place = {part.listing.files[row]: at for at, row in enumerate(rows)}
    pixels = np.empty((len(rows) if keep else 0, *shape), dtype=np.uint8)
    good: set[Path] = set()
    for contents in part.contents():

        def decode(row: Path, contents: dict[Path, bytes | None] = contents) -> None:
            image = read_image(_there(contents[row]), shape, spec.fit)
            if keep:
                pixels[place[row]] = image

        good |= reader.keep_good(decode, [row for row in contents if row in place]).keys()
    kept = [row for row in rows if part.listing.files[row] in good]
    if not keep:
        return None, kept
    if len(kept) < len(rows):
        pixels = pixels[[place[part.listing.files[row]] for row in kept]]
    return pixels, kept


def _places(part: PartInShards, spec: PicturesSpec, size: int) -> Places:
    """Where the images lie that are too large for memory.

    Raises:
        SettingError: They cannot be read one by one.
    """
    if isinstance(part.where, str):
        raise SettingError(
            f"{spec.root}: {size / 2**20:.0f} MiB of decoded images, over data.in_memory_mib="
            f"{spec.in_memory_mib}, and {part.where}: raise it, lower data.image_size, or unpack "
            "that, so that the images are streamed"
        )
    return part.where


def _there(content: bytes | None) -> bytes:
    if content is None:
        raise UnreadableImageError("no bytes in this row")
    return content
