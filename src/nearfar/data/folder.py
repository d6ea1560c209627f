"""A source from any folder of image files."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch

from nearfar.data.config import DataConfig
from nearfar.data.folder_listing import Listing, is_folder, list_images
from nearfar.data.image_files import (
    ImageHeader,
    UnreadableImageError,
    read_header,
    read_image,
    shown,
)
from nearfar.data.labels import encode_labels
from nearfar.data.source import Part, Source
from nearfar.data.splits import SPLIT_SEED, split_part
from nearfar.data.streamed_files import StreamedFiles
from nearfar.errors import NearfarError

LARGEST_SIDE = 256
"""Side that images are brought to at most, unless `image_size` says otherwise."""
_MOST_NAMED = 20

T = TypeVar("T")


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
    listings, notes = _list_parts(root)
    for listing in listings:
        notes += listing.notes
    files = [path for listing in listings for path in listing.files]
    reader = _Reader(root, config, total=len(files))
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
            part = "test" if parts else "train"
            raise NearfarError(f"{root}: not one image of the {part} part can be read")
        names = [_name(listing.files[row], root) for row in rows]
        labels = None
        if listing.labels is not None:
            kept = [listing.labels[row] for row in rows]
            labels, classes = encode_labels(
                kept, len(rows), what=f"folders of {root}", classes=classes
            )
        parts.append(Part(images, labels, names))
    notes += reader.notes()

    train, test = parts[0], parts[1] if len(parts) > 1 else None
    if test is None:
        train, test = split_part(train, config.test_fraction)
        if test is not None:
            notes.append(
                f"no folders train and test: {len(test)} of {len(train) + len(test)} images are "
                f"held out for test (seed {SPLIT_SEED})"
            )
    class_names = None if classes is None else tuple(classes)
    return Source("folder", train, test, class_names=class_names, notes=tuple(notes))


class _Reader:
    """Reads many files in threads and keeps account of the unreadable ones."""

    def __init__(self, root: Path, config: DataConfig, total: int) -> None:
        self.root = root
        self.max_corrupt = config.max_corrupt
        self.total = total
        self.threads = max(1, config.workers)
        self.faults: dict[Path, str] = {}

    def keep_good(self, read: Callable[[Path], T], files: Sequence[Path]) -> dict[Path, T]:
        """What `read` gives for each readable file, in order; refuse too many unreadable ones."""
        good: dict[Path, T] = {}
        # Pillow lets go of the interpreter's lock while it decodes. What it warns of is either
        # harmless or ends in an error, which is told below.
        with warnings.catch_warnings(), ThreadPoolExecutor(self.threads) as threads:
            warnings.filterwarnings("ignore", module=r"PIL\b")
            for path, result in zip(files, threads.map(_or_fault(read), files), strict=True):
                if isinstance(result, UnreadableImageError):
                    self.faults[path] = str(result).removeprefix(f"{shown(path)}: ")
                else:
                    good[path] = result
        limit = self.max_corrupt
        if len(self.faults) > limit * self.total or len(self.faults) == self.total:
            raise NearfarError(
                f"{self.root}: {len(self.faults)} of {self.total} images cannot be read, over "
                f"data.max_corrupt={limit:g}; mend or remove them, or raise that share: "
                f"{self._named()}"
            )
        return good

    def notes(self) -> list[str]:
        """What was skipped, by name."""
        if not self.faults:
            return []
        return [f"skipped {len(self.faults)} of {self.total} images: {self._named()}"]

    def _named(self) -> str:
        """The first unreadable files with their faults."""
        named = [
            f"{shown(path.relative_to(self.root))} ({fault})"
            for path, fault in sorted(self.faults.items())[:_MOST_NAMED]
        ]
        more = len(self.faults) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def _or_fault(read: Callable[[Path], T]) -> Callable[[Path], T | UnreadableImageError]:
    """The reader, made to return its error."""

    def attempt(path: Path) -> T | UnreadableImageError:
        try:
            return read(path)
        except UnreadableImageError as error:
            return error

    return attempt


def _list_parts(root: Path) -> tuple[list[Listing], list[str]]:
    """The training part and, where the folder has one, the test part."""
    folders = sorted(
        entry.name for entry in os.scandir(root) if is_folder(entry) and entry.name[0] != "."
    )
    if "train" not in folders or not ("test" in folders or folders == ["train"]):
        return [list_images(root)], []
    names = [name for name in ("train", "test") if name in folders]
    notes = [
        f"passed over {name}/: only train/ and test/ are read"
        for name in folders
        if name not in names
    ]
    listings = [list_images(root / name) for name in names]
    if len({listing.labels is None for listing in listings}) == 2:
        raise NearfarError(
            f"{root}: one of train/ and test/ has class sub-folders and the other has not; "
            "lay both out alike"
        )
    return listings, notes


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
    reader: _Reader, listing: Listing, rows: list[int], shape: tuple[int, int, int], keep: bool
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


def _name(path: Path, root: Path) -> str:
    """The file's name relative to the root, as text that can be written anywhere."""
    return os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
