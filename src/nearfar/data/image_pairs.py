"""Sources of images that each have other images: by a table, or by two folders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from nearfar.data.captions import left_alone, places_beside
from nearfar.data.column_names import given
from nearfar.data.common_shape import common_shape
from nearfar.data.file_reading import FileReader, name_below, shown
from nearfar.data.folder import load_listed, pages_of, read_all
from nearfar.data.folder_listing import Listing, list_parts
from nearfar.data.folder_tree import many, some, walk
from nearfar.data.image_files import IMAGES, pillow_quiet, read_header
from nearfar.data.image_table import file_named, listings_of, path_columns
from nearfar.data.paired_specs import (
    ImagePairsFilesSpec,
    ImagePairsFolderSpec,
    ImagePairsTableSpec,
)
from nearfar.data.source import Part, Partners, Source
from nearfar.data.table_cells import table_cells
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import printable


def load_image_pairs_table(spec: ImagePairsTableSpec) -> Source:
    """Read the image files that a table names, each with the second images of its rows.

    The second images are held in memory, each once; the first may stream.

    Returns:
        The source; rows without one of both images are left out.

    Raises:
        NearfarError: If the table or too many images cannot be read, or a column cannot be told.
        SettingError: If there is no such column, or the second images do not fit into
            `in_memory_mib`.
    """
    table = spec.root
    assert table is not None
    base = spec.images or table.parent
    try:
        columns = table_cells(table, spec.in_memory_mib, [spec.label_column])
        paths, seconds = _two_columns(columns, spec)
        named = [str(value) for value in columns[seconds]]
        files = [file_named(base, name) if name else None for name in named]
        told = [f"second images are in column {printable(seconds)}"]
        if lacking := files.count(None):
            told.append(f"left out {many(lacking, 'row')} without a second image")
        if lacking == len(files):
            raise NearfarError(f"column {printable(seconds)}: there is no path in it")
        with pillow_quiet():
            held = _Seconds(spec, base, [each for each in files if each is not None])
        kept = [row for row, file in enumerate(files) if file in held.places]
        rest = {
            name: [values[row] for row in kept]
            for name, values in columns.items()
            if name != seconds
        }
        chosen = replace(spec, path_column=paths)
        listings, notes = listings_of(chosen, rest, base, several=True)
    except NearfarError as error:
        raise type(error)(f"{table}: {error}") from None
    beside: dict[str, list[Path]] = {}
    for value, row in zip(rest[paths], kept, strict=True):
        file = files[row]
        assert file is not None
        beside.setdefault(name_below(file_named(base, str(value)), base), []).append(file)
    with pillow_quiet():
        source = load_listed(spec, base, listings, told + notes)
    return held.beside(source, beside)


def _two_columns(
    columns: Mapping[str, Sequence[object]], spec: ImagePairsTableSpec
) -> tuple[str, str]:
    """The columns of first and of second images, told by their values where no setting names them.

    Raises:
        NearfarError: There are fewer such columns, or more.
    """
    named = (
        given(spec.path_column, "path_column", columns),
        given(spec.second_column, "second_column", columns),
    )
    filled = {name: [each for each in values if each != ""] for name, values in columns.items()}
    holding = path_columns({name: values for name, values in filled.items() if values})
    others = [name for name in holding if name not in named]
    if None in named and len(others) != named.count(None):
        *most, last = [name for name in named if name] + others or ["no column"]
        told = printable(f"{', '.join(most)} and {last}" if most else last)
        raise NearfarError(
            f"{told} {'hold' if most else 'alone holds'} paths of images, and a pair is of two "
            "columns: name both by data.path_column and data.second_column"
        )
    left = iter(others)
    paths, seconds = (name or next(left) for name in named)
    if paths == seconds:
        raise SettingError(
            f"data.path_column and data.second_column are both {printable(paths)}: a pair is of two"
        )
    return paths, seconds


def load_image_pairs_folder(spec: ImagePairsFolderSpec) -> Source:
    """Read two folders of images, each with the one of its name in the other.

    The first is laid out as a folder of images is, and in the second the same paths, but for their
    endings, are what belongs to them. An image without another counts as unreadable.

    Returns:
        The source, with file names relative to `root`; the second images are held in memory.

    Raises:
        NearfarError: If too many images cannot be read or do not pair, or there is none.
        SettingError: If a folder is not there, or the second images do not fit into
            `in_memory_mib`.
    """
    root = spec.root
    assert root is not None
    first, second, notes = _two_folders(spec, root)
    with pillow_quiet():
        listings, more = list_parts(first, IMAGES)
        notes += more
        beside = _of_same_names(spec, first, second, listings, notes)
        held = _Seconds(spec, root, list(beside.values()))
        for listing in listings:
            _keep(listing, [path for path in listing.files if beside.get(path) in held.places])
        source = load_listed(spec, root, listings, notes)
    return held.beside(source, {name_below(path, root): [file] for path, file in beside.items()})


def _two_folders(spec: ImagePairsFolderSpec, root: Path) -> tuple[Path, Path, list[str]]:
    """The folders of first and of second images, and a note where nobody named them."""
    named = spec.first_folder, spec.second_folder
    for setting, name in zip(("first_folder", "second_folder"), named, strict=True):
        if name is not None and not (root / name).is_dir():
            raise SettingError(f"data.{setting} is {name}: there is no such folder in {root}")
    there = sorted(each.name for each in root.iterdir() if each.is_dir() and each.name[0] != ".")
    others = [name for name in there if name not in named]
    if None in named and len(others) != named.count(None):
        raise NearfarError(
            f"{shown(root)}: a pair is of two folders, and it holds "
            f"{some([printable(name) for name in there]) if there else 'none'}: name both by "
            "data.first_folder and data.second_folder"
        )
    left = iter(others)
    first, second = (name or next(left) for name in named)
    if (root / first).resolve() == (root / second).resolve():
        raise SettingError(
            f"data.first_folder and data.second_folder are both {first}: a pair is of two"
        )
    note = f"first images are in {printable(first)}/, second ones in {printable(second)}/"
    return root / first, root / second, [note] if None in named else []


def _of_same_names(
    spec: ImagePairsFolderSpec,
    first: Path,
    second: Path,
    listings: list[Listing],
    notes: list[str],
) -> dict[Path, Path]:
    """The second image of each first one; what has no counterpart goes out of the listings."""
    top, _ = walk(second, IMAGES)
    of_name: dict[Path, Path] = {}
    for path in top.all_files():
        name = path.relative_to(second).with_suffix("")
        if name in of_name:
            raise NearfarError(
                f"{shown(second)}: {of_name[name].name} and {path.name} in "
                f"{shown(path.parent)} have one name: which of them is the pair's cannot be told"
            )
        of_name[name] = path
    images = [path for listing in listings for path in listing.files]
    name_of = {path: path.relative_to(first).with_suffix("") for path in images}
    without = [shown(path.relative_to(first)) for path in images if name_of[path] not in of_name]
    left = of_name.keys() - set(name_of.values())
    alone = [shown(of_name[name].relative_to(second)) for name in sorted(left)]
    notes += left_alone(
        first.parent,
        {("first image", "a second"): without, ("second image", "a first"): alone},
        len(images),
        spec.max_corrupt,
        "the images of a pair have the same path in both folders but for the ending",
    )
    return {path: of_name[name] for path, name in name_of.items() if name in of_name}


def _keep(listing: Listing, files: Sequence[Path]) -> None:
    """Leave some files alone in a listing."""
    kept = set(files)
    rows = [row for row, path in enumerate(listing.files) if path in kept]
    listing.files = [listing.files[row] for row in rows]
    if listing.labels is not None:
        listing.labels = [listing.labels[row] for row in rows]


class _Seconds:
    """The second images, decoded, each once.

    Args:
        spec: How they are read, and how much room there is.
        root: Folder that they are below.
        files: Theirs; one may come several times.

    Attributes:
        pixels: `(m, channels, side, side)`.
        places: The row of each file; what cannot be read has none.

    Raises:
        NearfarError: Too many cannot be read.
        SettingError: They do not fit into `in_memory_mib`.
    """

    pixels: UInt8[Tensor, "m channels side side"]

    def __init__(self, spec: ImagePairsFilesSpec, root: Path, files: Sequence[Path]) -> None:
        listing = Listing(list(dict.fromkeys(files)), None)
        count = len(listing.files)
        reader = FileReader(
            root,
            total=count,
            kind="second image",
            max_corrupt=spec.max_corrupt,
            threads=spec.workers,
        )
        listing.files = list(headers := reader.keep_good(read_header, listing.files))
        headers, notes = pages_of(spec, root, [listing], headers, reader)
        sized = replace(spec, image_size=spec.second_image_size)
        shape, more = common_shape(list(headers.values()), sized, spec.pages or "first")
        needed = len(listing.files) * prod(shape)
        if needed > spec.in_memory_mib * 2**20:
            raise SettingError(
                f"the second images need {needed / 2**20:,.0f} MiB as {shape[1]}×{shape[2]} and "
                f"are held in memory, data.in_memory_mib is {spec.in_memory_mib:,}: raise it, or "
                "set data.second_image_size to fewer pixels"
            )
        rows = list(range(len(listing.files)))
        pixels, kept = read_all(reader, listing, rows, shape, spec, keep=True)
        assert isinstance(pixels, Tensor)
        self.pixels = pixels
        self.places = {listing.files[row]: place for place, row in enumerate(kept)}
        told = [note.replace("data.image_size", "data.second_image_size") for note in more]
        self.notes = [f"second images: {note}" for note in (*notes, *told)] + reader.notes()

    def beside(self, source: Source, files: Mapping[str, Sequence[Path]]) -> Source:
        """The source, each of its examples paired with its second images.

        Args:
            source: Its examples have names.
            files: Of each name one or more.
        """

        def paired(part: Part) -> Part:
            assert part.names is not None
            rows = [[self.places[file] for file in files[name]] for name in part.names]
            return replace(part, partners=Partners(places_beside(rows), self.pixels, "images"))

        test = None if source.test is None else paired(source.test)
        notes = (*source.notes, *self.notes)
        return replace(source, train=paired(source.train), test=test, notes=notes)
