"""A source from any folder of image files."""

from math import prod
from pathlib import Path
from statistics import median

import numpy as np
import torch

from nearfar.data.config import DataConfig
from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing, list_parts, part_of
from nearfar.data.image_files import SUFFIXES, ImageHeader, read_header, read_image
from nearfar.data.source import Part, Source
from nearfar.data.splits import split_with_note
from nearfar.data.streamed_files import StreamedFiles
from nearfar.errors import NearfarError

LARGEST_SIDE = 256
"""Side that images are brought to at most, unless `image_size` says otherwise."""


def load_folder(config: DataConfig) -> Source:
    """Read a folder of images of any size and mode.

    Sub-folders are classes; a flat folder has no labels. Where there are folders `train` and
    `test`, they are the two parts; else a part is held out, stratified and always the same.
    Every file is decoded once here, so that unreadable ones are known before training.

    Args:
        config: `root`, `image_size`, `channels`, `test_fraction`, `max_corrupt`,
            `in_memory_mib` and `workers`.

    Returns:
        The source, in memory or streamed, with file names relative to `root`.

    Raises:
        NearfarError: If there are no images, too many unreadable ones, or classes do not fit.
    """
    root = config.root
    assert root is not None
    listings, notes = list_parts(root, SUFFIXES, "image")
    for listing in listings:
        notes += listing.notes
    files = [path for listing in listings for path in listing.files]
    reader = FileReader(root, config, total=len(files), kind="image")
    headers = reader.keep_good(read_header, files)
    shape, shape_note = _common_shape(list(headers.values()), config)
    if shape_note:
        notes.append(shape_note)

    in_memory = len(headers) * prod(shape) <= config.in_memory_mib * 2**20
    parts: list[Part] = []
    classes: list[str] | None = None
    for listing in listings:
        rows = [row for row, path in enumerate(listing.files) if path in headers]
        images, rows = _read_all(reader, listing, rows, shape, in_memory)
        if not rows:
            which = "test" if parts else "train"
            raise NearfarError(f"{root}: not one image of the {which} part can be read")
        part, classes = part_of(listing, rows, images, root=root, classes=classes, kind="image")
        parts.append(part)
    notes += reader.notes()

    train, test = parts[0], parts[1] if len(parts) > 1 else None
    if test is None:
        train, test, note = split_with_note(
            train, config.test_fraction, missing="no folders train and test", examples="images"
        )
        notes += note
    class_names = None if classes is None else tuple(classes)
    return Source("folder", train, test, class_names=class_names, notes=tuple(notes))


def _common_shape(
    headers: list[ImageHeader], config: DataConfig
) -> tuple[tuple[int, int, int], str | None]:
    """The shape that all images are brought to, and a note where that changes some."""
    channels = config.channels or max(header.channels for header in headers)
    if config.image_size is not None:
        return (channels, config.image_size, config.image_size), None
    sizes = {(header.height, header.width) for header in headers}
    height, width = min(sizes)
    if len(sizes) == 1 and min(height, width) <= LARGEST_SIDE:
        return (channels, height, width), None
    short_sides = [min(header.height, header.width) for header in headers]
    side = min(LARGEST_SIDE, int(median(short_sides)))
    note = (
        f"images of {len(sizes)} sizes (short sides {min(short_sides)} to {max(short_sides)} px) "
        f"are brought to {side}×{side}; data.image_size changes that"
    )
    return (channels, side, side), note


def _read_all(
    reader: FileReader, listing: Listing, rows: list[int], shape: tuple[int, int, int], keep: bool
) -> tuple[torch.Tensor | StreamedFiles, list[int]]:
    """Decode the chosen files of a listing: the images, in memory or streamed, and their rows."""
    pixels = np.empty((len(rows) if keep else 0, *shape), dtype=np.uint8)
    place = {listing.files[row]: index for index, row in enumerate(rows)}

    def decode(path: Path) -> None:
        image = read_image(path, shape)
        if keep:
            pixels[place[path]] = image

    good = reader.keep_good(decode, list(place))
    kept = [row for row in rows if listing.files[row] in good]
    if not keep:
        return StreamedFiles([listing.files[row] for row in kept], shape), kept
    if len(kept) < len(rows):
        pixels = pixels[[place[listing.files[row]] for row in kept]]
    return torch.from_numpy(pixels), kept
