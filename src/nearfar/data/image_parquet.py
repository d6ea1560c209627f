"""A source from Parquet files that hold images, as the Hugging Face Hub keeps them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.data.column_names import given, labels_among, only
from nearfar.data.common_shape import common_shape
from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing, source_of_parts
from nearfar.data.folder_parts import PARTS, PartName, part_named
from nearfar.data.folder_tree import many, some
from nearfar.data.image_files import (
    IMAGES,
    ImageHeader,
    UnreadableImageError,
    pages_left_out,
    pillow_quiet,
    read_header,
    read_image,
)
from nearfar.data.parquet import opened_parquet, text_or_numbers
from nearfar.data.source import Source
from nearfar.data.specs import ImageParquetSpec, PicturesSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import printable

_ROWS = 64
"""Images that are decoded at a time."""


@dataclass(frozen=True)
class ImageColumns:
    """What a Parquet file says of its columns.

    Attributes:
        images: Those that hold images: bytes beside a path, or bytes alone.
        classes: Names of the classes by each column of labels that says them.
        others: All other columns of text and of whole numbers.
    """

    images: list[str]
    classes: dict[str, list[str]]
    others: list[str]


def image_columns(path: Path) -> ImageColumns:
    """Which columns of a Parquet file hold images and labels.

    Raises:
        NearfarError: It cannot be read.
    """
    import pyarrow as pa

    with opened_parquet(path) as file:
        schema = file.schema_arrow
    features = _features(schema.metadata or {})
    images, classes, others = [], {}, []
    for field in schema:
        described = features.get(field.name)
        described = described if isinstance(described, dict) else {}
        if _holds_bytes(field.type) and described.get("_type", "Image") == "Image":
            images.append(field.name)
        elif pa.types.is_integer(field.type) or pa.types.is_string(field.type):
            others.append(field.name)
            names = described.get("names")
            if described.get("_type") == "ClassLabel" and isinstance(names, list):
                classes[field.name] = [str(name) for name in names]
    return ImageColumns(images, classes, others)


def load_image_parquet(spec: ImageParquetSpec) -> Source:
    """Read the images of one Parquet file, or of all in a folder.

    Files of a folder are of the part that their names begin with (`train-00000-of-00002.parquet`)
    or that their folder is named after; where none is, all are of one part. Classes have the names
    that the file says.

    Returns:
        The source, held in memory; an image is called by its file and its row.

    Raises:
        NearfarError: If a file cannot be read, too many images cannot, or a column cannot be told.
        SettingError: If there is no such column, or the images are larger than `in_memory_mib`.
    """
    root = spec.root
    assert root is not None
    base = root if root.is_dir() else root.parent
    notes: list[str] = []
    try:
        parts = shards_by_part(root, ".parquet", notes)
        first = next(iter(parts.values()))[0]
        columns = image_columns(first)
        images = given(spec.image_column, "image_column", columns.images) or only(
            columns.images, "images", "image_column"
        )
        labels = given(spec.label_column, "label_column", columns.others)
        labels = labels or _labels_of(first, columns)
        names = columns.classes.get(labels or "")
        notes.append(
            f"images are in column {printable(images)}, "
            + (f"labels in {printable(labels)}" if labels else "and no column is known as labels")
        )
        listings = [_listing(files, labels, names) for files in parts.values()]
    except NearfarError as error:
        raise type(error)(f"{root}: {error}") from None

    def contents(shards: Sequence[Path]) -> Iterator[dict[Path, bytes | None]]:
        return _batches(shards, images)

    return load_contents(spec, base, list(parts.values()), listings, contents, notes)


@pillow_quiet()
def load_contents(
    spec: PicturesSpec,
    base: Path,
    parts: list[list[Path]],
    listings: list[Listing],
    contents_of: Callable[[Sequence[Path]], Iterator[dict[Path, bytes | None]]],
    notes: list[str],
) -> Source:
    """The source of images that lie inside larger files, decoded into memory.

    Args:
        spec: How they are read.
        base: Folder that names are given below.
        parts: The larger files of each part.
        listings: The images of each.
        contents_of: What some images at a time hold, by the name of each; None where that is
            nothing. It is asked twice.
        notes: What is to be said first.

    Raises:
        NearfarError: Too many images cannot be read.
        SettingError: They are larger than `in_memory_mib`.
    """
    files = [path for listing in listings for path in listing.files]
    reader = FileReader(
        base,
        total=len(files),
        kind=IMAGES.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    headers: dict[Path, ImageHeader] = {}
    for shards in parts:
        for contents in contents_of(shards):

            def header_of(row: Path, contents: dict[Path, bytes | None] = contents) -> ImageHeader:
                return read_header(_there(contents[row]))

            headers |= reader.keep_good(header_of, list(contents))
    notes += pages_left_out(headers.values())
    shape, shape_notes = common_shape(list(headers.values()), spec)
    notes += shape_notes
    size = len(headers) * prod(shape)
    if size > spec.in_memory_mib * 2**20:
        raise SettingError(
            f"{spec.root}: {size / 2**20:.0f} MiB of decoded images, over data.in_memory_mib="
            f"{spec.in_memory_mib}: raise it, lower data.image_size, or write the images to a "
            "folder, which is streamed"
        )
    shards_of = dict(zip(map(id, listings), parts, strict=True))

    def read(listing: Listing, rows: list[int]) -> tuple[torch.Tensor, list[int]]:
        place = {listing.files[row]: at for at, row in enumerate(rows)}
        pixels = np.empty((len(rows), *shape), dtype=np.uint8)
        good: set[Path] = set()
        for contents in contents_of(shards_of[id(listing)]):

            def decode(row: Path, contents: dict[Path, bytes | None] = contents) -> None:
                pixels[place[row]] = read_image(_there(contents[row]), shape, spec.fit)

            good |= reader.keep_good(decode, [row for row in contents if row in place]).keys()
        kept = [row for row in rows if listing.files[row] in good]
        if len(kept) < len(rows):
            pixels = pixels[[place[listing.files[row]] for row in kept]]
        return torch.from_numpy(pixels), kept

    return source_of_parts(spec, IMAGES, listings, reader, headers, read, notes)


def _there(content: bytes | None) -> bytes:
    if content is None:
        raise UnreadableImageError("no bytes in this row")
    return content


def _batches(shards: Sequence[Path], column: str) -> Iterator[dict[Path, bytes | None]]:
    """What some rows at a time hold, by the name of each."""
    for shard in shards:
        done = 0
        with opened_parquet(shard) as file:
            for batch in file.iter_batches(_ROWS, columns=[column]):
                values = batch.column(0)
                if values.type.num_fields:  # a struct of bytes and a path
                    values = values.field("bytes")
                yield {shard / str(done + at): value.as_py() for at, value in enumerate(values)}
                done += len(values)


def _listing(shards: Sequence[Path], column: str | None, names: list[str] | None) -> Listing:
    """The rows of the files of a part, and their labels."""
    rows: list[Path] = []
    labels: list[str] = []
    for shard in shards:
        with opened_parquet(shard) as file:
            count = file.metadata.num_rows
            rows += [shard / str(row) for row in range(count)]
            if column is None:
                continue
            if column not in file.schema_arrow.names:
                raise NearfarError(f"{shard.name} has no column {printable(column)}")
            values = text_or_numbers(column, file.read(columns=[column]).column(0))
        labels += [_class_name(value, names) for value in values.tolist()]
    if not rows:
        raise NearfarError("no row in it")
    labelled = f"column {printable(column or '')}"
    return Listing(rows, None if column is None else labels, [], labelled)


def _class_name(value: int | str, names: list[str] | None) -> str:
    """The name of a class; without names its number, of so many digits that they sort."""
    if names is not None and isinstance(value, int):
        if not 0 <= value < len(names):
            raise NearfarError(
                f"label {value}: the file names {len(names)} classes, from 0; leave out images "
                "without a label"
            )
        return names[value]
    return str(value)


def _labels_of(path: Path, columns: ImageColumns) -> str | None:
    """The column of labels: the one that says its classes, else one that is called so."""
    if columns.classes:
        return only(list(columns.classes), "classes", "label_column")
    with opened_parquet(path) as file:
        read = file.read(columns=columns.others) if columns.others else None
    held = {} if read is None else {name: read.column(name).to_pylist() for name in columns.others}
    return labels_among(held, others=True)


def shards_by_part(root: Path, ending: str, notes: list[str]) -> dict[PartName, list[Path]]:
    """The files of the part to learn from and, where there is one, of the part to judge by.

    Args:
        root: One such file, or a folder of them.
        ending: Of their names.
        notes: Takes what is left out.

    Raises:
        NearfarError: There is none, or of one it cannot be told which part it is of.
    """
    if root.is_file():
        return {"train": [root]}
    files = sorted(path for path in root.rglob(f"*{ending}") if path.is_file())
    if not files:
        raise NearfarError(f"no {ending} file in it")
    parts: dict[PartName, list[Path]] = {}
    unnamed = []
    for path in files:
        part = part_named(path.stem.split("-")[0]) or part_named(path.parent.name)
        if part is None:
            unnamed.append(path)
        else:
            parts.setdefault(part, []).append(path)
    if not parts:
        return {"train": unnamed}
    if unnamed or "train" not in parts:
        seen = some([path.name for path in unnamed or files])
        raise NearfarError(f"{seen}: which part is that? Name files as train-…{ending} or test-…")
    if "test" in parts and (left := parts.pop("val", None)):
        notes.append(
            f"left out the val part ({many(len(left), 'file')}): neither learnt from nor judged by"
        )
    return {name: parts[name] for name in PARTS if name in parts}


def _holds_bytes(kind: Any) -> bool:
    """Whether a column holds the content of files: bytes, or a struct with a field of bytes."""
    import pyarrow as pa

    types = pa.types
    if types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        return "bytes" in names and _holds_bytes(kind.field("bytes").type)
    return types.is_binary(kind) or types.is_large_binary(kind)


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """What the library `datasets` wrote down of the columns; nothing where it is damaged."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
