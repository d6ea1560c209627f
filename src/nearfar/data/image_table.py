"""A source from a table of paths of image files, and of their labels."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nearfar.data.column_names import given, labels_among, only, split_among
from nearfar.data.csv_file import as_labels, told_of_words
from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import shown
from nearfar.data.folder import load_listed
from nearfar.data.folder_listing import Listing
from nearfar.data.folder_parts import PartName, part_named
from nearfar.data.folder_tree import many, some
from nearfar.data.image_files import SUFFIXES, pillow_quiet
from nearfar.data.source import Source
from nearfar.data.specs import ImageTableSpec, PictureTableSpec
from nearfar.data.table_cells import table_cells
from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_LOOKED_AT = 200
_MOST_OTHERS = 0.1
"""Share of a column's values that may end otherwise than image files do."""


def load_image_table(spec: ImageTableSpec) -> Source:
    """Read the image files that a table names.

    Paths begin at `spec.images`, or at the table's folder, unless they are absolute. Columns that
    no setting names are told by their names and values, and a note says which was taken for what.

    Returns:
        The source, in memory or streamed, with file names relative to that folder. Files whose cell
        in the column of labels is empty are the unlabelled part.

    Raises:
        NearfarError: If the table or too many images cannot be read, a column cannot be told, or
            a file has two labels.
        SettingError: If there is no such column.
    """
    table = spec.root
    assert table is not None
    base = spec.images or table.parent
    try:
        cells = table_cells(table, spec.in_memory_mib, [spec.label_column])
        listings, notes = listings_of(spec, cells, base)
    except NearfarError as error:
        raise type(error)(f"{table}: {error}") from None
    with pillow_quiet():
        return load_listed(spec, base, listings, notes)


def is_image_name(value: object) -> bool:
    """Whether a value of a table ends as the name of an image file does."""
    return isinstance(value, str) and Path(value[-40:]).suffix.lower() in SUFFIXES


def file_named(base: Path, name: str) -> Path:
    """The file that a row names; a NUL, which no path holds, is shown by its code."""
    return base / (printable(name) if "\0" in name else name)


def texts_below(base: Path) -> Callable[[str], str]:
    """What gives the path of `file_named` as text, for many names that are not empty.

    pathlib, which takes ten times as long, is asked about odd names alone.
    """
    before = os.fspath(base / "_")[:-1]

    def text_of(name: str) -> str:
        odd = name[0] in "/." or name[-1] == "/" or "//" in name or "/." in name or "\0" in name
        return os.fspath(file_named(base, name)) if odd else before + name

    return text_of


def path_columns(columns: Mapping[str, Sequence[object]]) -> list[str]:
    """The columns whose values end as image files do, but for a few."""

    def is_one(values: Sequence[object]) -> bool:
        looked_at = values[:: max(1, len(values) // _LOOKED_AT)]
        return sum(not is_image_name(value) for value in looked_at) <= _MOST_OTHERS * len(looked_at)

    return [name for name, values in columns.items() if is_one(values)]


def listings_of(
    spec: PictureTableSpec,
    columns: Mapping[str, Sequence[object]],
    base: Path,
    *,
    several: bool = False,
) -> tuple[list[Listing], list[str]]:
    """The files of the training part and, where there is one, of the test part.

    Args:
        spec: Which column is what.
        columns: Of the table, by name.
        base: Folder that paths begin at.
        several: A file may stand in several rows, and nobody need be told.

    Returns:
        The listings, and notes.

    Raises:
        NearfarError: A column cannot be told, a file has two labels, or no file is there.
    """
    paths = given(spec.path_column, "path_column", columns) or only(
        path_columns(columns), "paths of images", "path_column"
    )
    rest = {name: values for name, values in columns.items() if name != paths}
    split = given(spec.split_column, "split_column", rest) or split_among(rest)
    rest = {name: values for name, values in rest.items() if name != split}
    labels = given(spec.label_column, "label_column", rest) or labels_among(rest, others=True)
    notes = [_told(paths, labels, split, list(rest))]
    rows = _rows(columns, paths, labels, base, notes, several=several)
    parts: list[PartName] = ["train"] * len(columns[paths])
    if split is not None:
        parts = [_part(str(value), split) for value in columns[split]]
    train, test, val = (
        [row for row in rows if parts[row] == part] for part in ("train", "test", "val")
    )
    if not train:
        raise NearfarError(f"column {printable(split or '')}: no row is of a training part")
    if test and val:
        notes.append(
            f"left out the val part ({many(len(val), 'image')}): neither learnt from nor judged by"
        )
    listings = []
    classes = None if labels is None else _classes(columns[labels], notes)
    for chosen in (train, test or val):
        if chosen:
            named = None if classes is None else [classes[row] for row in chosen]
            files = FilePaths([rows[row] for row in chosen])
            listings.append(Listing(files, named, [], f"column {printable(labels or '')}"))
    return listings, notes


def _classes(labels: Sequence[object], notes: list[str]) -> list[str]:
    """The name of the class of each row; empty where there is none."""
    named = [str(label) for label in labels]
    read = as_labels(named)
    notes += told_of_words(read)
    return ["" if label == "" else name for name, label in zip(named, read, strict=True)]


def _told(paths: str, labels: str | None, split: str | None, rest: list[str]) -> str:
    """Which column was taken for what."""
    read = f"paths are in column {printable(paths)}"
    if labels is None:
        unread = f" ({some([printable(name) for name in rest])} are not)" if rest else ""
        return f"{read}, and no column is known to hold labels{unread}; data.label_column names one"
    parts = f", parts in {printable(split)}" if split is not None else ""
    return f"{read}, labels in {printable(labels)}{parts}"


def _rows(
    columns: Mapping[str, Sequence[object]],
    paths: str,
    labels: str | None,
    base: Path,
    notes: list[str],
    *,
    several: bool,
) -> dict[int, str]:
    """The path of each row that is read, by the row's number; notes say what is left out."""
    found: dict[int, str] = {}
    first: dict[str, int] = {}
    empty, twice, odd = 0, 0, []
    text_of = texts_below(base)
    for row, value in enumerate(columns[paths]):
        name = str(value)
        if not name:
            empty += 1
            continue
        if "://" in name[:16]:
            raise NearfarError(
                f"row {row + 1}: {printable(name[:60])} is an address and no file: download the "
                "images first"
            )
        path = text_of(name)
        if several and labels is not None and columns[labels][row] == "":
            raise NearfarError(
                f"column {printable(labels)}: row {row + 1} has no label; leave such rows out"
            )
        if path in first:
            other = first[path]
            if labels is not None and columns[labels][row] != columns[labels][other]:
                raise NearfarError(
                    f"{shown(Path(name))} has two labels, in rows {other + 1} and {row + 1}"
                )
            twice += 1
            continue
        first[path] = row
        if _is_pipe_or_device(path):
            odd.append(shown(Path(name)))
            continue
        found[row] = path
    if not any(os.path.isfile(path) for path in found.values()):
        such = f", such as {shown(Path(next(iter(found.values()))))}" if found else ""
        raise NearfarError(
            f"not one of {many(len(first), 'file')} is there{such}: data.images names the folder "
            "that paths begin at"
        )
    notes += [f"left out {many(empty, 'row')} without a path"] if empty else []
    if twice and not several:
        notes.append(f"left out {many(twice, 'row')} whose file stands in another row")
    notes += [f"left out, as no files: {some(odd)}"] if odd else []
    return found


def _is_pipe_or_device(path: str) -> bool:
    """What could be waited for for ever; a file that is missing is told of when it is read."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode)


def _part(value: str, split: str) -> PartName:
    part = part_named(value)
    if part is None:
        raise NearfarError(
            f"column {printable(split)}: {printable(value[:40])!r} is neither train, val nor test"
        )
    return part
