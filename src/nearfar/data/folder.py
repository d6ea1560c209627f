"""A source from any folder of image files."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
import torch

from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing, list_parts, source_of_parts
from nearfar.data.image_files import (
    IMAGES,
    ImageHeader,
    pillow_quiet,
    read_header,
    read_image,
)
from nearfar.data.source import Examples, Source
from nearfar.data.source_spec import Fit
from nearfar.data.specs import FolderSpec
from nearfar.data.streamed_files import StreamedFiles

LARGEST_SIDE = 256
"""Side that images are brought to at most, unless `image_size` says otherwise."""

_MUCH = 0.25
"""Share of its area from which on an image that loses it is told of."""


def load_folder(spec: FolderSpec) -> Source:
    """Read a folder of images of any size and mode.

    Folders named as parts (train, val, test and their like) are the parts; else sub-folders are
    classes, and a flat folder has no labels (`list_parts`). Without a part to judge by, one is held
    out, stratified and always the same. Every file is decoded once here, so that unreadable ones
    are known before training.

    Returns:
        The source, in memory or streamed, with file names relative to `root`.

    Raises:
        NearfarError: If there are no images, too many unreadable ones, or classes do not fit.
    """
    assert spec.root is not None
    with pillow_quiet():
        return _load(spec, *list_parts(spec.root, IMAGES))


def _load(spec: FolderSpec, listings: list[Listing], notes: list[str]) -> Source:
    """Read the files of the listings, each a part."""
    root = spec.root
    assert root is not None
    for listing in listings:
        notes += listing.notes
    files = [path for listing in listings for path in listing.files]
    reader = FileReader(
        root,
        total=len(files),
        kind=IMAGES.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    headers = reader.keep_good(read_header, files)
    shape, shape_notes = _common_shape(list(headers.values()), spec)
    notes += shape_notes

    in_memory = len(headers) * prod(shape) <= spec.in_memory_mib * 2**20

    def read(listing: Listing, rows: list[int]) -> tuple[Examples, list[int]]:
        return _read_all(reader, listing, rows, shape, spec.fit, in_memory)

    return source_of_parts(spec, IMAGES, listings, reader, headers, read, notes)


def _common_shape(
    headers: list[ImageHeader], spec: FolderSpec
) -> tuple[tuple[int, int, int], list[str]]:
    """The shape that all images are brought to, and notes where that changes some."""
    channels = spec.channels or max(header.channels for header in headers)
    sizes = {(header.height, header.width) for header in headers}
    height, width = min(sizes)
    if spec.image_size is not None:
        shape, notes = (channels, spec.image_size, spec.image_size), []
    elif len(sizes) == 1 and min(height, width) <= LARGEST_SIDE:
        return (channels, height, width), []
    else:
        short_sides = [min(header.height, header.width) for header in headers]
        side = min(LARGEST_SIDE, int(median(short_sides)))
        shape = (channels, side, side)
        notes = [
            f"images of {len(sizes)} sizes (short sides {min(short_sides)} to {max(short_sides)} "
            f"px) are brought to {side}×{side}; data.image_size changes that"
        ]
    kept = [
        min(header.height, header.width) / max(header.height, header.width) for header in headers
    ]
    return shape, notes + fit_note(kept, spec.fit)


def fit_note(kept: Sequence[float], fit: Fit) -> list[str]:
    """What becomes of images that are not square, where there are some.

    Args:
        kept: Of each image its short side over its long one.
        fit: How images become squares.
    """
    changed = sum(share < 1 for share in kept)
    if not changed:
        return []
    of_all = f"{changed} of {len(kept)} images are not square"
    if fit == "pad":
        return [f"{of_all}: put on a square ground of their mean colour"]
    if fit == "squash":
        return [f"{of_all}: squashed to squares"]
    much = sum(share < 1 - _MUCH for share in kept) / len(kept)
    return [
        f"{of_all}: cut to their centre squares; {much:.0%} of all lose over a "
        f"quarter of their area, the worst {1 - min(kept):.0%}; fit pad or squash keeps it"
    ]


def _read_all(
    reader: FileReader,
    listing: Listing,
    rows: list[int],
    shape: tuple[int, int, int],
    fit: Fit,
    keep: bool,
) -> tuple[torch.Tensor | StreamedFiles, list[int]]:
    """Decode the chosen files of a listing: the images, in memory or streamed, and their rows."""
    pixels = np.empty((len(rows) if keep else 0, *shape), dtype=np.uint8)
    place = {listing.files[row]: index for index, row in enumerate(rows)}

    def decode(path: Path) -> None:
        image = read_image(path, shape, fit)
        if keep:
            pixels[place[path]] = image

    good = reader.keep_good(decode, list(place))
    kept = [row for row in rows if listing.files[row] in good]
    if not keep:
        return StreamedFiles([listing.files[row] for row in kept], shape, fit), kept
    if len(kept) < len(rows):
        pixels = pixels[[place[listing.files[row]] for row in kept]]
    return torch.from_numpy(pixels), kept
