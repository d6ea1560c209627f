"""A source from a Parquet table: embeddings, or the columns of any table."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data.arrays import source_from_vectors
from nearfar.data.config import DataConfig
from nearfar.data.source import Source
from nearfar.errors import NearfarError, SettingError, unknown_name

_NAMES = "names"


def load_parquet(config: DataConfig) -> Source:
    """Read the rows of a Parquet table as vectors.

    Columns of numbers are features, side by side in the order of the table; a column of lists of
    one length gives as many. One column may hold the labels. A column `names` of text, as
    `nearfar embed` writes it, is passed over.

    Args:
        config: `root` is the file, `label_column` names the labels, `test_fraction` splits.

    Raises:
        NearfarError: If pyarrow is missing, the file is damaged, a column holds no numbers, or a
            value is missing.
        SettingError: If the table has no such label column or is larger than `in_memory_mib`.
    """
    path = config.root
    assert path is not None
    try:
        table = read_table(path, config.in_memory_mib, "data.in_memory_mib")
        labels = None
        if config.label_column is not None:
            labels = _labels(table, config.label_column)
            table = table.drop_columns([config.label_column])
        notes = ()
        if _NAMES in table.column_names and is_text(table.column(_NAMES)):
            table = table.drop_columns([_NAMES])
            notes = (f"passed over the column {_NAMES}, which holds text",)
        if not table.column_names:
            raise NearfarError("no column of features in it")
        columns = [column_features(name, table.column(name)) for name in table.column_names]
        source = source_from_vectors(
            np.concatenate(columns, axis=1),
            labels,
            test_fraction=config.test_fraction,
            name="parquet",
        )
        return replace(source, notes=notes + source.notes)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None


def read_table(path: Path, limit_mib: int, setting: str) -> Any:
    """A table, once its declared size is seen to be small enough.

    Args:
        path: The file.
        limit_mib: Largest size to read.
        setting: What a person raises where that is too low.

    Raises:
        NearfarError: pyarrow is missing, or the file is damaged.
        SettingError: It is larger.
    """
    if find_spec("pyarrow") is None:
        raise NearfarError("reading parquet needs pyarrow: pip install 'nearfar[parquet]'")
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            groups = range(file.metadata.num_row_groups)
            declared = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            if declared > limit_mib * 2**20:
                raise SettingError(
                    f"{declared / 2**20:.0f} MiB of columns, over {setting}={limit_mib}: raise it"
                )
            return file.read()
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NearfarError(f"not a readable Parquet file ({reason})") from None


def _labels(table: Any, name: str) -> np.ndarray:
    """The labels, one for each row."""
    if name not in table.column_names:
        raise SettingError(f"data.{unknown_name('label_column', name, table.column_names)}")
    column = table.column(name)
    if column.null_count:
        raise NearfarError(
            f"column {name}: {column.null_count} of {len(column)} labels are missing; leave those "
            "rows out"
        )
    return np.array(column.to_pylist())


def is_text(column: Any) -> bool:
    """Whether a column holds strings.

    Args:
        column: Of a pyarrow table.
    """
    import pyarrow as pa

    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def column_features(name: str, column: Any) -> np.ndarray:
    """The features of one column.

    Args:
        name: Of the column, for messages.
        column: Of a pyarrow table.

    Returns:
        `(rows, 1)` for numbers and `(rows, d)` for lists of d.

    Raises:
        NearfarError: It holds no numbers, a value is missing, or lists differ in length.
    """
    import pyarrow as pa

    kind = column.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    listed = listed or pa.types.is_fixed_size_list(kind)
    values = kind.value_type if listed else kind
    if not (pa.types.is_floating(values) or pa.types.is_integer(values)):
        raise NearfarError(
            f"column {name} holds {kind}, no numbers: drop it or turn it into numbers (labels are "
            "named by data.label_column)"
        )
    if column.null_count:
        raise NearfarError(
            f"column {name}: {column.null_count} of {len(column)} values are missing; fill them in "
            "or leave those rows out"
        )
    if not listed:
        return column.to_numpy().reshape(-1, 1)
    rows = column.to_pylist()
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise NearfarError(
            f"column {name}: lists of {min(widths)} to {max(widths)} values; all must be one length"
        )
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1)
