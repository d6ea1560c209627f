"""A source from a Parquet table, and its columns as arrays, with a limit on what they decode to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data.arrays import source_from_vectors
from nearfar.data.column_names import answers_among, given
from nearfar.data.parquet_columns import NAMES, TableColumns, is_text, opened_parquet, table_columns
from nearfar.data.source import Source
from nearfar.data.specs import ParquetSpec
from nearfar.data.table_values import Features, features_of_numbers, features_of_words, gaps_among
from nearfar.errors import NearfarError, SettingError, require_known
from nearfar.outside_text import printable
from nearfar.table_features import TableFeature


def load_parquet(spec: ParquetSpec) -> Source:
    """Read the rows of a Parquet table as vectors.

    Columns of numbers are features, side by side in the order of the table; a column of lists of
    one length gives as many, and one of `categories` one for each of its words. One column may hold
    the labels, also one of pandas' index; rows in which it is missing become the unlabelled part.
    All other index columns are left out, with a note, and so is a column `names` of text, as
    `nearfar embed` writes it.

    Raises:
        NearfarError: If pyarrow is missing, the file is damaged, a column holds no numbers, or a
            value is missing.
        SettingError: If the table has no such label column or is larger than `in_memory_mib`.
    """
    path = spec.root
    assert path is not None
    try:
        columns = table_columns(path)
        labelled = given(spec.label_column, "label_column", columns.kinds)
        require_known("column in data.leave_out", spec.leave_out, columns.kinds)
        require_known("column in data.categories", spec.categories, columns.kinds)
        index = tuple(name for name in columns.index if name != labelled)
        notes = replace(columns, index=index).index_note()
        if columns.embedded:
            notes += ("read the column features alone, as nearfar embed wrote it",)
        elif NAMES in columns.text and labelled != NAMES:
            notes += (f"passed over the column {NAMES}, which holds text",)
        kept = [name for name in columns.data if name not in (labelled, *spec.leave_out)]
        if not kept:
            raise NearfarError("no column of features in it")
        wanted = kept if labelled is None else [*kept, labelled]
        read = read_columns(path, wanted, columns, spec.in_memory_mib, "data.in_memory_mib")
        features = [
            _words_of(name, column)
            if name in spec.categories
            else _numbers_of(name, column, spec.fill_missing)
            for name, column in zip(kept, read, strict=False)
        ]
        source = source_from_vectors(
            np.concatenate([values for _, values in features], axis=1),
            None if labelled is None else labels_or_gaps(labelled, read[-1]),
            test_fraction=spec.test_fraction,
            name="parquet",
            minus_one=False,
        )
        known = tuple(feature for names, _ in features for feature in names)
        notes += answers_among(kept, labelled) + gaps_among(known) + source.notes
        return replace(source, notes=notes, columns=known)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None


_MOST_ROWS = 65536
_MOST_EXACT = 2**53
"""Below it float64 tells every whole number from the next."""
_AS_WORDS = frozenset(("PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"))
"""Encodings of text that pyarrow can read as a dictionary of the different words."""


def read_columns(
    path: Path, names: Sequence[str], columns: TableColumns, limit_mib: int, setting: str
) -> list[Any]:
    """Reads columns, as long as what they decode to is small enough.

    A run of equal values takes a few bytes in the file, so that its size tells nothing: the number
    of values does, and what has been decoded is counted on the way.

    Args:
        path: The file.
        names: Of columns.
        columns: What the file says of them.
        limit_mib: Largest decoded size; of text, each different string counts once.
        setting: What a person raises where that is too low.

    Returns:
        A chunked array of pyarrow for each name, of strings a dictionary where pyarrow can.

    Raises:
        NearfarError: The file is damaged.
        SettingError: The columns are larger.
    """
    import pyarrow as pa

    limit = limit_mib * 2**20
    with opened_parquet(path) as file:
        plain = [
            name
            for name in names
            if name in columns.text
            and all(
                _AS_WORDS.issuperset(chunk.encodings)
                for chunk in _chunks(file.metadata, name, columns)
            )
        ]
    with opened_parquet(path, read_dictionary=plain) as file:
        declared = _declared_bytes(file.metadata, names, columns)
        _refuse_large(declared, limit, setting)
        rows = limit // max(1, _most_bytes_of_a_row(file.metadata, names, declared))
        batches, held, known = [], 0, {}
        for batch in file.iter_batches(min(max(1, rows), _MOST_ROWS), columns=list(names)):
            held += sum(
                _new_bytes(name, column, known)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            )
            _refuse_large(held, limit, setting)
            batches.append(batch)
        if not batches:
            raise NearfarError("no row in it")
        table = pa.Table.from_batches(batches)
    return [table.column(name) for name in names]


def text_or_numbers(name: str, column: Any) -> np.ndarray:
    """The values of a column, as NumPy has them: strings as objects, whole numbers as such.

    Fractions that are all whole, as pandas makes them where a number was once missing, are whole
    numbers.

    Args:
        name: Of the column, for messages.
        column: As `read_columns` gives it.

    Raises:
        NearfarError: A value is missing.
    """
    import pyarrow as pa

    if column.null_count:
        raise NearfarError(
            f"column {printable(name)}: {column.null_count} of {len(column)} are missing; leave "
            "those rows out"
        )
    if not pa.types.is_dictionary(column.type):
        values = column.to_numpy()
        exact = values.dtype.kind == "f" and bool((np.abs(values) < _MOST_EXACT).all())
        return values.astype(np.int64) if exact and (values % 1 == 0).all() else values
    parts, words, known = [], np.empty(0), None
    for chunk in column.chunks:
        if _address(chunk.dictionary) != known:
            known = _address(chunk.dictionary)
            words = chunk.dictionary.to_numpy(zero_copy_only=False)
        parts.append(words[chunk.indices.to_numpy()])
    return np.concatenate(parts)


def labels_or_gaps(name: str, column: Any) -> np.ndarray:
    """The labels of a column as `text_or_numbers` gives them; empty strings where there is none.

    Args:
        name: Of the column, for messages.
        column: As `read_columns` gives it; a label that is null or NaN is none.
    """
    from pyarrow.compute import call_function

    missing = column.is_null(nan_is_null=True)
    if not call_function("any", [missing]).as_py():
        return text_or_numbers(name, column)
    gaps = missing.to_numpy()
    labels = np.full(len(gaps), "", dtype=object)
    if not gaps.all():
        labels[~gaps] = text_or_numbers(name, column.filter(call_function("invert", [missing])))
    return labels


def column_features(name: str, column: Any) -> np.ndarray:
    """The features of one column.

    Args:
        name: Of the column, for messages.
        column: As `read_columns` gives it.

    Returns:
        `(rows, 1)` for numbers and `(rows, d)` for lists of d.

    Raises:
        NearfarError: It holds no numbers, a value is missing, or lists differ in length.
    """
    from pyarrow.compute import call_function

    name = printable(name)
    kind = column.type
    listed = _is_list(kind)
    values = kind.value_type if listed else kind
    if not _holds_numbers(values):
        raise NearfarError(
            f"column {name} holds {_in_words(kind)}, no numbers: drop it, turn it into numbers, or "
            "read it as words by data.categories (labels are named by data.label_column)"
        )
    if column.null_count:
        raise NearfarError(
            f"column {name}: {column.null_count} of {len(column)} values are missing; fill them "
            "in, leave those rows out, or let the mean stand for them by data.fill_missing"
        )
    if not listed:
        return column.to_numpy().reshape(-1, 1)
    lengths = call_function("min_max", [call_function("list_value_length", [column])]).as_py()
    if lengths["min"] != lengths["max"]:
        raise NearfarError(
            f"column {name}: lists of {lengths['min']} to {lengths['max']} values; all must be one "
            "length"
        )
    # As whole arrays: a Python number for each value takes 32 bytes.
    rows = [
        chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), lengths["max"])
        for chunk in column.chunks
    ]
    return np.concatenate(rows)


def _words_of(name: str, column: Any) -> Features:
    """The features of a column of words, of truths, or of whole numbers that are names."""
    words = column.to_pylist()
    return features_of_words(name, [None if word is None else str(word).strip() for word in words])


def _numbers_of(name: str, column: Any, fill: bool) -> Features:
    """The features of a column of numbers, or of lists of them."""
    if fill and _holds_numbers(column.type):
        return features_of_numbers(name, column.to_numpy().astype(np.float64))
    values = column_features(name, column)
    width = values.shape[1]
    if not _is_list(column.type):
        return [TableFeature(name, fill=float(values.mean()))], values
    return [TableFeature(f"{name}[{place}]") for place in range(width)], values


def _holds_numbers(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _declared_bytes(metadata: Any, names: Sequence[str], columns: TableColumns) -> int:
    """What the columns decode to by the numbers of their values, which the file states."""
    return sum(
        _bytes_of(chunk, columns.kinds[name])
        for name in names
        for chunk in _chunks(metadata, name, columns)
    )


def _bytes_of(chunk: Any, kind: Any) -> int:
    """Decoded size of a column's part, as far as it can be told: of text, what is written."""
    values = kind.value_type if _is_list(kind) else kind
    try:
        return chunk.num_values * max(8, values.bit_width) // 8
    except ValueError:  # of no fixed width
        return chunk.total_uncompressed_size


def _chunks(metadata: Any, name: str, columns: TableColumns) -> Iterator[Any]:
    """The parts of a column; those of a list have a longer path."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            path = chunk.path_in_schema
            nested = path.startswith(f"{name}.") and path not in columns.kinds
            if path == name or nested:
                yield chunk


def _most_bytes_of_a_row(metadata: Any, names: Sequence[str], declared: int) -> int:
    """What a row may decode to; of text that is written as changes, all that is written."""
    row = declared // max(1, metadata.num_rows)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema in names and "DELTA_BYTE_ARRAY" in chunk.encodings:
                row = max(row, chunk.total_uncompressed_size)
    return row


def _new_bytes(name: str, column: Any, known: dict[str, int]) -> int:
    """Memory that a part of a column takes beside the parts before it, whose words it may share."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column.nbytes
    address = _address(column.dictionary)
    shared = known.get(name) == address
    known[name] = address
    return column.indices.nbytes + (0 if shared else column.dictionary.nbytes)


def _address(array: Any) -> int:
    """Where in memory an array of pyarrow lies."""
    return next((each.address for each in reversed(array.buffers()) if each is not None), 0)


def _refuse_large(size: int, limit: int, setting: str) -> None:
    """What would not fit."""
    if size > limit:
        raise SettingError(
            f"{size / 2**20:.0f} MiB of columns, over {setting}={limit // 2**20}: raise it"
        )


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _in_words(kind: Any) -> str:
    return "string" if is_text(kind) else str(kind)
