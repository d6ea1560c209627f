"""A source from any folder of image files."""

from collections.abc import Container, Sequence
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
import torch

from nearfar.data.checked_files import CheckedFiles
from nearfar.data.file_reading import FileReader, shown
from nearfar.data.folder_listing import Listing, list_parts, source_of_parts
from nearfar.data.image_files import (
    IMAGES,
    ImageHeader,
    pillow_quiet,
    read_header,
    read_image,
)
from nearfar.data.source import Examples, Source
from nearfar.data.source_spec import Fit, Pages
from nearfar.data.specs import FolderSpec, PictureFilesSpec, PicturesSpec
from nearfar.data.streamed_files import StreamedFiles
from nearfar.data.tiff_files import page_path
from nearfar.errors import NearfarError, SettingError

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
        return load_listed(spec, spec.root, *list_parts(spec.root, IMAGES))


def load_listed(
    spec: PictureFilesSpec, root: Path, listings: list[Listing], notes: list[str]
) -> Source:
    """Read the files of some listings, each a part.

    Args:
        spec: How they are read.
        root: Folder that names are given below.
        listings: Of the training part and, where there is one, the test part.
        notes: What is to be said first.
    """
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
    checked = CheckedFiles(root, files)
    known = checked.unchanged()
    new = reader.keep_good(read_header, [path for path in files if path not in known])
    headers = {path: held for path in files if (held := known.get(path) or new.get(path))}
    headers, page_notes = pages_of(spec, root, listings, headers, reader)
    notes += page_notes
    shape, shape_notes = common_shape(list(headers.values()), spec, spec.pages or "first")
    notes += shape_notes

    in_memory = len(headers) * prod(shape) <= spec.in_memory_mib * 2**20
    # Bands and pages are counted when a file is decoded, and known of none before.
    plain = shape[0] in (1, 3) and spec.pages in (None, "first")
    passed = frozenset(known) if plain and not in_memory else frozenset[Path]()

    def read(listing: Listing, rows: list[int]) -> tuple[Examples, list[int]]:
        return read_all(reader, listing, rows, shape, spec, in_memory, passed)

    source = source_of_parts(spec, IMAGES, listings, reader, headers, read, notes)
    if plain and not in_memory and (len(passed) < len(headers)):
        checked.keep({path: each for path, each in headers.items() if path not in reader.faults})
    return source


def common_shape(
    headers: list[ImageHeader], spec: PicturesSpec, pages: Pages = "first"
) -> tuple[tuple[int, int, int], list[str]]:
    """The shape that all images are brought to, and notes where that changes some.

    Args:
        headers: Of all images.
        spec: Size and channels that are asked for, and how images come to a square.
        pages: What pages of a file are.
    """
    channels, notes = _channels(headers, spec, pages)
    sizes = {(header.height, header.width) for header in headers}
    height, width = min(sizes)
    if spec.image_size is not None:
        shape = (channels, spec.image_size, spec.image_size)
    elif len(sizes) == 1 and min(height, width) <= LARGEST_SIDE:
        return (channels, height, width), notes
    else:
        short_sides = [min(header.height, header.width) for header in headers]
        side = min(LARGEST_SIDE, int(median(short_sides)))
        shape = (channels, side, side)
        notes.append(
            f"images of {len(sizes)} sizes (short sides {min(short_sides)} to {max(short_sides)} "
            f"px) are brought to {side}×{side}; data.image_size changes that"
        )
    kept = [
        min(header.height, header.width) / max(header.height, header.width) for header in headers
    ]
    return shape, notes + fit_note(kept, spec.fit)


def _channels(
    headers: list[ImageHeader], spec: PicturesSpec, pages: Pages
) -> tuple[int, list[str]]:
    """How many channels all images get, and a note where bands or pages decide it."""
    counts = {len(header.pages) for header in headers}
    if pages == "channels" and counts != {1}:
        return _one_number(counts, "pages"), [
            f"each of the {max(counts)} pages of a file is a channel, by data.pages"
        ]
    bands = {header.bands or header.channels for header in headers}
    if spec.channels is None and any(header.bands for header in headers):
        return _one_number(bands, "bands"), [
            f"each of the {max(bands)} bands of a file is a channel; data.channels 3 reads red, "
            "green and blue alone where there are such"
        ]
    return spec.channels or max(header.channels for header in headers), []


def _one_number(counts: set[int], of: str) -> int:
    """The number that all files have, refused where they differ."""
    if len(counts) > 1:
        raise NearfarError(
            f"files of {min(counts)} to {max(counts)} {of}: they are channels only where all files "
            "have as many; sort them into folders of one kind"
        )
    return max(counts)


def pages_of(
    spec: PictureFilesSpec,
    root: Path,
    listings: list[Listing],
    headers: dict[Path, ImageHeader],
    reader: FileReader,
) -> tuple[dict[Path, ImageHeader], list[str]]:
    """Headers by image: of files of several pages as `spec.pages` says, which must say it.

    Args:
        spec: How they are read.
        root: Folder that names are given below.
        listings: Get a file for each page where each is an image.
        headers: Of all files.
        reader: Counts pages likewise.

    Raises:
        SettingError: A file has several pages, and nothing says what they are.
    """
    several = {path: header for path, header in headers.items() if len(header.pages) > 1}
    if not several:
        return headers, []
    path, header = next(iter(several.items()))
    if spec.pages is None:
        raise SettingError(
            f"{len(several)} of {len(headers)} images have several pages, such as "
            f"{shown(path.relative_to(root))} with {len(header.pages)}: say by --data.pages what "
            "they are: each (an image by itself), channels (of one image) or first (read it alone)"
        )
    if spec.pages == "first":
        return headers, [f"of {len(several)} files of several pages the first alone is read"]
    if spec.pages == "channels":
        return headers, []
    by_page: dict[Path, ImageHeader] = {}
    for listing in listings:
        files, labels = [], []
        for at, file in enumerate(listing.files):
            pages = [file]
            if file in several:
                pages = [page_path(file, page) for page in several[file].pages]
                by_page |= dict.fromkeys(pages, several[file])
            elif file in headers:
                by_page[file] = headers[file]
            files += pages
            labels += [] if listing.labels is None else [listing.labels[at]] * len(pages)
        listing.files = files
        listing.labels = None if listing.labels is None else labels
    reader.total += sum(len(header.pages) - 1 for header in several.values())
    return by_page, [
        f"{len(several)} files hold several pages: {len(by_page)} images in all, and those of one "
        "file may come into both parts"
    ]


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


def read_all(
    reader: FileReader,
    listing: Listing,
    rows: list[int],
    shape: tuple[int, int, int],
    spec: PictureFilesSpec,
    keep: bool,
    passed: Container[Path] = (),
) -> tuple[torch.Tensor | StreamedFiles, list[int]]:
    """Decode the chosen files of a listing: the images, in memory or streamed, and their rows.

    Args:
        reader: Keeps account of those that cannot be decoded.
        listing: Files.
        rows: Which of them.
        shape: That each is brought to.
        spec: How.
        keep: Hold the pixels; else the files are streamed.
        passed: Files that are known to decode, and are not decoded where nothing is held.
    """
    pixels = np.empty((len(rows) if keep else 0, *shape), dtype=np.uint8)
    place = {listing.files[row]: index for index, row in enumerate(rows)}
    pages = spec.pages or "first"

    def decode(path: Path) -> None:
        image = read_image(path, shape, spec.fit, pages)
        if keep:
            pixels[place[path]] = image

    good = reader.keep_good(decode, [path for path in place if keep or path not in passed])
    kept = [row for row in rows if (path := listing.files[row]) in good or path in passed]
    if not keep:
        return StreamedFiles([listing.files[row] for row in kept], shape, spec.fit, pages), kept
    if len(kept) < len(rows):
        pixels = pixels[[place[listing.files[row]] for row in kept]]
    return torch.from_numpy(pixels), kept
