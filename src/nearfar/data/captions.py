"""Sources of images that each have texts: by a table, or by files of the same names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.data.column_names import given, only
from nearfar.data.file_reading import FileReader, UnreadableFileError, name_below, shown
from nearfar.data.folder import load_listed
from nearfar.data.folder_listing import Listing, list_parts
from nearfar.data.folder_tree import many, some
from nearfar.data.image_files import IMAGES, pillow_quiet
from nearfar.data.image_table import file_named, listings_of, path_columns
from nearfar.data.paired_specs import (
    CaptionedFolderSpec,
    CaptionedTableSpec,
    OpenMojiSpec,
)
from nearfar.data.source import Part, Partners, Source
from nearfar.data.table_cells import table_cells
from nearfar.data.text_files import read_texts
from nearfar.data.text_table import text_columns
from nearfar.data.texts import rows_of
from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_TEXT = ".txt"


def load_captioned_table(spec: CaptionedTableSpec) -> Source:
    """Read the image files that a table names, each with the texts of its rows.

    Returns:
        The source, in memory or streamed; rows without a text are left out.

    Raises:
        NearfarError: If the table or too many images cannot be read, or a column cannot be told.
        SettingError: If there is no such column.
    """
    table = spec.root
    assert table is not None
    base = spec.images or table.parent
    try:
        columns = table_cells(table, spec.in_memory_mib, [spec.label_column])
        paths = given(spec.path_column, "path_column", columns) or only(
            path_columns(columns), "paths of images", "path_column"
        )
        texts = given(spec.text_column, "text_column", columns) or _texts_among(columns, paths)
        stripped = [str(each).strip() for each in columns[texts]]
        kept = [row for row, text in enumerate(stripped) if text]
        if not kept:
            raise NearfarError(f"column {printable(texts)}: there is no text in it")
        told = [f"texts are in column {printable(texts)}"]
        if empty := len(stripped) - len(kept):
            told.append(f"left out {many(empty, 'row')} without a text")
        columns = {name: [values[row] for row in kept] for name, values in columns.items()}
        rest = {name: values for name, values in columns.items() if name != texts}
        listings, notes = listings_of(replace(spec, path_column=paths), rest, base, several=True)
    except NearfarError as error:
        raise type(error)(f"{table}: {error}") from None
    by_name: dict[str, list[str]] = {}
    for value, row in zip(columns[paths], kept, strict=True):
        name = name_below(file_named(base, str(value)), base)
        by_name.setdefault(name, []).append(stripped[row])
    with pillow_quiet():
        source = load_listed(spec, base, listings, told + notes)
    return with_texts(source, by_name, spec.length, spec.in_memory_mib)


def load_openmoji(spec: OpenMojiSpec) -> Source:
    """Read the drawings that `make openmoji` made, with their names and tags; groups are classes.

    Raises:
        NearfarError: The table or its images are damaged.
    """
    table = CaptionedTableSpec(
        root=spec.folder / "openmoji.csv",
        path_column="path",
        text_column="text",
        label_column="group",
        image_size=spec.image_size,
        length=spec.length,
    )
    source = load_captioned_table(table)
    # The columns are known, and nobody need be told.
    return replace(source, name=spec.name, notes=source.notes[2:])


def _texts_among(columns: Mapping[str, Sequence[object]], paths: str) -> str:
    others = {name: values for name, values in columns.items() if name != paths}
    if found := text_columns(others):
        return found[0]
    told = ", ".join(printable(name) for name in others)
    raise NearfarError(
        f"no column of several words a row beside {printable(paths)} (there "
        f"{f'are {told}' if told else 'is no other'}): name one by data.text_column"
    )


def load_captioned_folder(spec: CaptionedFolderSpec) -> Source:
    """Read a folder of images, each with the text of the .txt file of its name.

    The folder is laid out as one of images; an image without a text and a text without an image
    count as unreadable ones do.

    Returns:
        The source, in memory or streamed, with file names relative to `root`.

    Raises:
        NearfarError: If too many images cannot be read or do not pair, or there is none.
    """
    root = spec.root
    assert root is not None
    kind = replace(IMAGES, suffixes=IMAGES.suffixes | {_TEXT})
    with pillow_quiet():
        listings, notes = list_parts(root, kind)
        texts = _paired(listings, root, spec.max_corrupt, notes)
        source = load_listed(spec, root, listings, notes)
    return with_texts(source, texts, spec.length, spec.in_memory_mib)


def _paired(
    listings: list[Listing], root: Path, most: float, notes: list[str]
) -> dict[str, list[str]]:
    """The text of each image by its name; what has no counterpart goes out of the listings."""
    texts = {path for each in listings for path in each.files if path.suffix.lower() == _TEXT}
    images = [path for each in listings for path in each.files if path not in texts]
    of_stem = {path.with_suffix(""): path for path in texts}
    text_of = {path: of_stem.get(path.with_suffix("")) for path in images}
    without = [shown(path.relative_to(root)) for path, text in text_of.items() if text is None]
    left = texts - set(text_of.values())
    alone = [shown(path.relative_to(root)) for path in sorted(left)]
    notes += left_alone(
        root,
        {("image", "a text"): without, ("text", "an image"): alone},
        len(images),
        most,
        "an image and its text have the same name but for the ending (1.jpg and 1.txt)",
    )
    reader = FileReader(root, total=len(images), kind="text", max_corrupt=most, threads=2)
    read = reader.keep_good(_whole, [path for path in text_of.values() if path is not None])
    notes += reader.notes()
    for listing in listings:
        rows = [row for row, path in enumerate(listing.files) if text_of.get(path) in read]
        listing.files = [listing.files[row] for row in rows]
        if listing.labels is not None:
            listing.labels = [listing.labels[row] for row in rows]
    return {name_below(path, root): [read[text]] for path, text in text_of.items() if text in read}


def left_alone(
    root: Path,
    alone: Mapping[tuple[str, str], Sequence[str]],
    images: int,
    most: float,
    rule: str,
) -> list[str]:
    """What has no counterpart, as a note; too much of it is refused.

    Args:
        root: The folder.
        alone: Names by what they are and what they are without; images come first.
        images: How many images there are.
        most: Largest share of them that may be alone.
        rule: How what belongs together is known.

    Raises:
        NearfarError: More is alone, or every image.
    """
    told = [
        f"{many(len(names), what)} without {other} ({some(list(names))})"
        for (what, other), names in alone.items()
        if names
    ]
    without = next(iter(alone.values()))
    if len(without) == images or sum(map(len, alone.values())) > most * images:
        raise NearfarError(
            f"{shown(root)}: {' and '.join(told) or 'no image in it'}: {rule}; add or remove what "
            "is alone, or raise data.max_corrupt"
        )
    return [f"left out {' and '.join(told)}"] if told else []


def _whole(path: Path) -> str:
    """All that a text file says, in one line.

    Raises:
        UnreadableFileError: It is empty, or as for `read_texts`.
    """
    texts = read_texts(path, "file").texts
    if not texts:
        raise UnreadableFileError(f"{shown(path)}: empty")
    return texts[0]


def places_beside(rows: Sequence[Sequence[int]]) -> Int64[Tensor, "n most"]:
    """The rows beside each example as one tensor, −1 where an example has fewer.

    Args:
        rows: Of each example those that stand beside it, one or more.
    """
    places = torch.full((len(rows), max(map(len, rows))), -1)
    for row, each in enumerate(rows):
        places[row, : len(each)] = torch.tensor(each)
    return places


def with_texts(
    source: Source, texts: Mapping[str, Sequence[str]], length: int, limit_mib: int
) -> Source:
    """The source, each of its examples paired with its texts.

    Args:
        source: Its examples have names.
        texts: Of each name one or more.
        length: Bytes that each is cut at.
        limit_mib: Largest size of all of them.
    """
    notes = []
    parts: list[Part | None] = []
    for part, which in ((source.train, "train"), (source.test, "test")):
        if part is None:
            parts.append(None)
            continue
        assert part.names is not None
        held = [texts[name] for name in part.names]
        rows, cut = rows_of([text for each in held for text in each], length, limit_mib)
        most = max(map(len, held))
        notes += [f"{which}: {note}" for note in cut]
        if most > 1:
            notes.append(f"{which}: {len(rows):,} texts of {many(len(held), 'image')}")
        numbers = iter(range(len(rows)))
        places = places_beside([[next(numbers) for _ in each] for each in held])
        parts.append(replace(part, partners=Partners(places, rows, "texts")))
    train, test = parts
    assert train is not None
    return replace(source, train=train, test=test, notes=(*source.notes, *notes))
