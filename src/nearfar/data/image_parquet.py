"""A source from Parquet files that hold images, as the Hugging Face Hub keeps them."""

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.data import late_checks
from nearfar.data.column_names import given, labels_among, only
from nearfar.data.folder_listing import Listing
from nearfar.data.folder_parts import PARTS, PartName, part_named
from nearfar.data.folder_tree import many, some
from nearfar.data.parquet import labels_or_gaps
from nearfar.data.parquet_columns import opened_parquet
from nearfar.data.parquet_rows import bytes_of, costly_groups, places_in_parquet
from nearfar.data.shard_contents import PartInShards, load_contents
from nearfar.data.shard_specs import ImageParquetSpec
from nearfar.data.source import Source
from nearfar.errors import NearfarError
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
        if holds_bytes(field.type) and described.get("_type", "Image") == "Image":
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
        The source, in memory or streamed; an image is called by its file and its row. Images
        without a label are the unlabelled part where others have one.

    Raises:
        NearfarError: If a file cannot be read, too many images cannot, or a column cannot be told.
        SettingError: If there is no such column.
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
        held = [_part(files, images, labels, names, notes) for files in parts.values()]
    except NearfarError as error:
        raise type(error)(f"{root}: {error}") from None
    return load_contents(spec, base, held, notes)


def _part(
    files: Sequence[Path],
    images: str,
    labels: str | None,
    names: list[str] | None,
    notes: list[str],
) -> PartInShards:
    """The images of the files of a part."""
    where = places_in_parquet(files, images)
    listing = _listing(files, labels, names)
    # Told where it costs: each image that is drawn has its whole group read.
    if len(listing.files) > late_checks.AT_ONCE and (told := costly_groups(files)):
        notes.append(told)
    return PartInShards(listing, functools.partial(_batches, files, images), where)


def _batches(shards: Sequence[Path], column: str) -> Iterator[dict[Path, bytes | None]]:
    """What some rows at a time hold, by the name of each."""
    for shard in shards:
        done = 0
        with opened_parquet(shard) as file:
            for batch in file.iter_batches(_ROWS, columns=[column]):
                values = batch.column(0)
                yield {shard / str(done + at): bytes_of(value) for at, value in enumerate(values)}
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
            values = labels_or_gaps(column, file.read(columns=[column]).column(0))
        labels += [class_name(value, names) for value in values.tolist()]
    if not rows:
        raise NearfarError("no row in it")
    labelled = f"column {printable(column or '')}"
    return Listing(rows, None if column is None else labels, [], labelled)


def class_name(value: int | str, names: list[str] | None) -> str:
    """The name of a class, or its number where there are no names; empty where there is none.

    Of classes that have names, `datasets` writes −1 where it is none.
    """
    if names is None or not isinstance(value, int):
        return str(value) if str(value).strip() else ""
    if not -1 <= value < len(names):
        raise NearfarError(f"label {value}: the file names {len(names)} classes, from 0")
    return "" if value == -1 else names[value]


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


def holds_bytes(kind: Any) -> bool:
    """Whether a column holds the content of files: bytes, or a struct with a field of bytes."""
    import pyarrow as pa

    types = pa.types
    if types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        return "bytes" in names and holds_bytes(kind.field("bytes").type)
    return types.is_binary(kind) or types.is_large_binary(kind)


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """What the library `datasets` wrote down of the columns; nothing where it is damaged."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
