"""A source from images that Hugging Face's `datasets` saved to disk, read from its Arrow files."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data.column_names import given, labels_among, only
from nearfar.data.folder_listing import Listing
from nearfar.data.folder_tree import some
from nearfar.data.image_parquet import class_name, holds_bytes
from nearfar.data.parquet import labels_or_gaps
from nearfar.data.parquet_rows import bytes_of
from nearfar.data.saved_dataset import class_names, data_files, named_splits
from nearfar.data.shard_contents import PartInShards, load_contents
from nearfar.data.shard_images import Places, Shard
from nearfar.data.shard_specs import ImageArrowSpec
from nearfar.data.source import Source
from nearfar.errors import NearfarError, require_known
from nearfar.outside_text import first_line, printable

_ROWS = 64
"""Images that are held undecoded at a time."""


def load_image_arrow(spec: ImageArrowSpec) -> Source:
    """Read the images of a data set as `save_to_disk` leaves it: of one, or of several splits.

    Of splits `train` is learnt from, and `test`, or else a validation split, is for test. Images
    are the column that holds bytes; classes have the names that the data set says.

    Returns:
        The source, in memory or streamed; an image is called by its file and its row. Images
        without a label are the unlabelled part where others have one.

    Raises:
        NearfarError: If it is no such folder, a file is missing or damaged, too many images cannot
            be read, or a column cannot be told.
        SettingError: If there is no such column.
    """
    root = spec.root
    assert root is not None
    notes: list[str] = []
    try:
        train, test, passed = named_splits(root)
        if passed:
            notes.append(f"passed over the splits {some(passed)}")
        folders = [train] if test is None else [train, test]
        columns = _columns(train)
        holding = [name for name, kind in columns.items() if holds_bytes(kind)]
        images = given(spec.image_column, "image_column", holding) or only(
            holding, "images", "image_column"
        )
        others = [name for name, kind in columns.items() if _may_be_labels(kind)]
        labels = given(spec.label_column, "label_column", others) or _labels_of(train, others)
        notes.append(
            f"images are in column {printable(images)}, "
            + (f"labels in {printable(labels)}" if labels else "and no column is known as labels")
        )
        parts = [_part(folder, images, labels) for folder in folders]
    except NearfarError as error:
        raise type(error)(f"{root}: {error}") from None
    return load_contents(spec, root, parts, notes)


def holds_saved_images(folder: Path) -> bool:
    """Whether a folder is a data set that `save_to_disk` left, with a column of images."""
    try:
        train, _, _ = named_splits(folder)
        return any(holds_bytes(kind) for kind in _columns(train).values())
    except NearfarError:
        return False


class ArrowReader:
    """One column of an Arrow file, which is mapped into memory and read where it lies.

    Args:
        column: Its name.
        path: The file.
    """

    def __init__(self, column: str, path: Path) -> None:
        self._held, table = mapped(path)
        self._values = table.column(column)

    def read(self, place: int, size: int) -> bytes | None:  # noqa: ARG002  the file knows it
        """The bytes in one row; None where there are none."""
        return bytes_of(self._values[place])

    def close(self) -> None:
        """Give the file back."""
        del self._values
        self._held.close()


def mapped(path: Path) -> tuple[Any, Any]:
    """An Arrow file mapped into memory, and the table in it, of which nothing is copied.

    Raises:
        NearfarError: It is missing or damaged.
    """
    import pyarrow as pa

    try:
        held = pa.memory_map(str(path))
        with pa.ipc.open_stream(held) as reader:
            return held, reader.read_all()
    except (OSError, pa.ArrowException) as error:
        reason = first_line(error)
        raise NearfarError(f"not a readable Arrow file ({printable(reason)})") from None


def _columns(folder: Path) -> Mapping[str, Any]:
    """Names and types of the columns."""
    schema = mapped(data_files(folder)[0])[1].schema
    return dict(zip(schema.names, schema.types, strict=True))


def _may_be_labels(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_string(kind)


def _labels_of(folder: Path, others: Sequence[str]) -> str | None:
    """The column of labels: the one that says its classes, else one that is called so."""
    classed = [name for name in class_names(folder) if name in others]
    if classed:
        return only(classed, "classes", "label_column")
    table = mapped(data_files(folder)[0])[1]
    held = {name: table.column(name).to_pylist() for name in others}
    return labels_among(held, others=True) if held else None


def _part(folder: Path, images: str, labels: str | None) -> PartInShards:
    """The images of one split."""
    files, names = data_files(folder), class_names(folder).get(labels or "")
    shards = [Shard.now(path) for path in files]
    rows: list[Path] = []
    found: list[str] = []
    sizes: list[np.ndarray] = []
    numbers: list[np.ndarray] = []
    for number, path in enumerate(files):
        _, table = mapped(path)
        for column in filter(None, (images, labels)):
            require_known(f"column of {path.name}", [column], table.column_names)
        rows += [path / str(row) for row in range(table.num_rows)]
        numbers.append(np.full(table.num_rows, number))
        sizes.append(_lengths(table.column(images)))
        if labels is not None:
            values = labels_or_gaps(labels, table.column(labels)).tolist()
            found += [class_name(value, names) for value in values]
    if not rows:
        raise NearfarError("no row in it")
    listing = Listing(
        rows, None if labels is None else found, [], f"column {printable(labels or '')}"
    )
    where = Places(
        shards,
        np.concatenate(numbers),
        np.concatenate([np.arange(len(each)) for each in sizes]),
        np.concatenate(sizes),
        partial(ArrowReader, images),
    )
    return PartInShards(listing, partial(_contents, files, images), where)


def _lengths(column: Any) -> np.ndarray:
    """Bytes of each image, from where each begins; nothing of the images is read."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_struct(column.type):
        column = compute.struct_field(column, "bytes")  # pyright: ignore[reportAttributeAccessIssue]
    lengths = compute.binary_length(column)  # pyright: ignore[reportAttributeAccessIssue]
    return lengths.fill_null(-1).to_numpy().astype(np.int64)


def _contents(files: Sequence[Path], column: str) -> Iterator[dict[Path, bytes | None]]:
    """What some rows at a time hold, by the name of each."""
    for path in files:
        held, table = mapped(path)
        values = table.column(column)
        for first in range(0, len(values), _ROWS):
            rows = range(first, min(first + _ROWS, len(values)))
            yield {path / str(row): bytes_of(values[row]) for row in rows}
        del table, values
        held.close()
