"""A source from text files: a line, a paragraph or a file each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from nearfar.data.file_reading import FileReader, UnreadableFileError, name_below, shown
from nearfar.data.folder_listing import Listing, list_parts
from nearfar.data.folder_tree import FileKind, many, some
from nearfar.data.listed_source import source_of_parts
from nearfar.data.source import Source
from nearfar.data.text_specs import TextLinesSpec
from nearfar.data.texts import neighbours, rows_of, told_of_partners
from nearfar.errors import NearfarError, SettingError

_FAR = 1000
"""Places between two files, more than any neighbour is away."""


@dataclass(frozen=True)
class Texts:
    """What a file holds.

    Attributes:
        texts: In order, without spaces around them, none of them empty.
        places: Number of the line that each begins in, from 1.
        empty: Lines that were left out because there is nothing in them.
    """

    texts: list[str]
    places: list[int]
    empty: int


def _never(_: Path) -> bool:
    return False


TEXTS = FileKind("text", "TXT", frozenset((".txt", ".text")), "texts", _never)
"""Which files are taken for text; without an ending, `LICENSE` and `Makefile` are text too."""


def read_texts(path: Path, unit: str) -> Texts:
    """Read a text file in UTF-8, whatever ends its lines.

    Args:
        path: The file.
        unit: line, paragraph or file.

    Raises:
        UnreadableFileError: It is not in UTF-8, or cannot be read.
    """
    try:
        whole = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{shown(path)}: not in UTF-8 (at byte {error.start}): save it in UTF-8"
        ) from None
    except OSError as error:
        raise UnreadableFileError(f"{shown(path)}: {error.strerror}") from None
    lines = [line.strip() for line in re.split("\r\n|\n|\r", whole)]
    if unit == "line":
        held = [(place, line) for place, line in enumerate(lines, 1) if line]
        # Behind the end of the last line there is none, as every file of lines ends in one.
        empty = len(lines) - len(held) - (not lines[-1])
        return Texts([line for _, line in held], [place for place, _ in held], empty)
    if unit == "file":
        text = " ".join(line for line in lines if line)
        return Texts([text], [0], 0) if text else Texts([], [], 1)
    paragraphs: list[list[str]] = []
    places = []
    between = True
    for place, line in enumerate(lines, 1):
        if line and between:
            paragraphs.append([])
            places.append(place)
        if line:
            paragraphs[-1].append(line)
        between = not line
    return Texts([" ".join(each) for each in paragraphs], places, 0)


def load_text_lines(spec: TextLinesSpec) -> Source:
    """Read one text file, or a folder of them that is laid out as one of images.

    Returns:
        The source, held in memory; names are FILE:LINE, the file relative to `root`.

    Raises:
        NearfarError: If there is no text, too many files are not in UTF-8, or classes do not fit.
        SettingError: If the texts are larger than `in_memory_mib`.
    """
    root = spec.root
    assert root is not None
    single = root.is_file()
    listings, notes = ([Listing([root], None)], []) if single else list_parts(root, TEXTS)
    for listing in listings:
        notes += listing.notes
    files = [path for listing in listings for path in listing.files]
    size = sum(path.stat().st_size for path in files if path.exists())
    if size > spec.in_memory_mib * 2**20:
        raise SettingError(
            f"{root}: {size / 2**20:.0f} MiB of text, over data.in_memory_mib="
            f"{spec.in_memory_mib}: raise it"
        )
    reader = FileReader(
        root.parent if single else root,
        total=len(files),
        kind="file",
        max_corrupt=spec.max_corrupt,
        threads=2,
    )
    read = reader.keep_good(lambda path: read_texts(path, spec.unit), files)
    if empty := sum(each.empty for each in read.values()):
        notes.append(
            f"left out {many(empty, 'empty file' if spec.unit == 'file' else 'empty line')}"
        )
    by_text = [_by_text(listing, read, reader.root, notes) for listing in listings]
    names = [path for listing in by_text for path in listing.files]
    texts = [text for path in files if path in read for text in read[path].texts]
    try:
        rows, cut = rows_of(texts, spec.length, spec.in_memory_mib)
    except SettingError as error:
        raise SettingError(f"{root}: {error}") from None
    notes += cut
    place_of = {path: place for place, path in enumerate(names)}

    def taken(listing: Listing, of_listing: list[int]) -> tuple[Tensor, list[int]]:
        return rows[[place_of[listing.files[row]] for row in of_listing]], of_listing

    source = source_of_parts(spec, TEXTS, by_text, reader, place_of, taken, notes)
    if not spec.neighbours:
        return source
    stands = _stands([each.texts for each in read.values()])
    named = {name_below(path, reader.root): stands[place] for path, place in place_of.items()}
    assert source.train.names is not None
    places = torch.tensor([named[name] for name in source.train.names])
    partners = neighbours(places, spec.neighbours)
    told = told_of_partners(partners, f"texts up to {spec.neighbours} before or after in a file")
    return replace(
        source, train=replace(source.train, partners=partners), notes=(*source.notes, *told)
    )


def _by_text(listing: Listing, read: Mapping[Path, Texts], root: Path, notes: list[str]) -> Listing:
    """A listing of texts in the place of files, each named by its file and line."""
    files: list[Path] = []
    labels: list[str] = []
    for row, path in enumerate(listing.files):
        for place in read[path].places if path in read else ():
            files.append(Path(f"{path}:{place}") if place else path)
            labels += [] if listing.labels is None else [listing.labels[row]]
    if not files:
        where = shown(listing.files[0] if len(listing.files) == 1 else root)
        raise NearfarError(f"{where}: there is no text in it")
    if lost := sorted(set(listing.labels or ()) - set(labels)):
        notes.append(f"there is no text of {some(lost)}: no class is made of it")
    return replace(listing, files=files, labels=None if listing.labels is None else labels)


def _stands(files: Sequence[Sequence[str]]) -> list[int]:
    """A place for each text of all files, one after another, files far apart."""
    stands, first = [], 0
    for texts in files:
        stands += range(first, first + len(texts))
        first += len(texts) + _FAR
    return stands
