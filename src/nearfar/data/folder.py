"""A source from any folder of image files."""

from collections.abc import Container
from math import prod
from pathlib import Path

import numpy as np
import torch

from nearfar.data.checked_files import CheckedFiles
from nearfar.data.common_shape import common_shape
from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import FileReader, shown
from nearfar.data.folder_listing import Listing, list_parts
from nearfar.data.image_files import (
    IMAGES,
    ImageHeader,
    pillow_quiet,
    read_header,
    read_image,
)
from nearfar.data.late_checks import ANY_SHAPE, load_late
from nearfar.data.listed_source import source_of_parts
from nearfar.data.source import Examples, Source
from nearfar.data.specs import FolderSpec, PictureFilesSpec
from nearfar.data.streamed_files import StreamedFiles
from nearfar.data.tiff_files import TIFF_SUFFIXES, page_path
from nearfar.errors import SettingError


def load_folder(spec: FolderSpec) -> Source:
    """Read a folder of images of any size and mode.

    Folders named as parts (train, val, test and their like) are the parts; else sub-folders are
    classes, and a flat folder has no labels (`list_parts`). Without a part to judge by, one is held
    out, stratified and always the same. Up to 10 000 files are decoded once here, so that
    unreadable ones are known before training; more that stream are checked when they are read.

    Returns:
        The source, in memory or streamed, with file names relative to `root`.

    Raises:
        NearfarError: If there are no images, too many unreadable ones, or classes do not fit.
    """
    assert spec.root is not None
    with pillow_quiet():
        return load_listed(spec, spec.root, *list_parts(spec.root, IMAGES))


def load_listed(
    spec: PictureFilesSpec,
    root: Path,
    listings: list[Listing],
    notes: list[str],
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
    # Bands and pages of TIFF files must be known.
    if spec.pages in (None, "first") and not any(
        FilePaths.of(each.files).ending_in(TIFF_SUFFIXES) for each in listings
    ):

        def images_of(listing: Listing) -> StreamedFiles:
            return StreamedFiles(listing.files, ANY_SHAPE, spec.fit, root=root)

        late = load_late(spec, root, listings, images_of, notes)
        if late is not None:
            return late
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
