"""The cells of a table of texts or of file names, CSV or Parquet: both are read alike."""

from collections.abc import Collection, Sequence
from pathlib import Path

from nearfar.data.column_names import called_labels
from nearfar.data.csv_file import read_csv
from nearfar.data.parquet import labels_or_gaps, read_columns
from nearfar.data.parquet_columns import columns_with_gaps, table_columns
from nearfar.errors import NearfarError


def table_cells(
    table: Path, limit_mib: int, named: Collection[str | None] = ()
) -> dict[str, Sequence[object]]:
    """The columns of text by name, without spaces around it, and whole numbers of Parquet as such.

    Of Parquet's other columns of numbers only those are read that are named, or called as labels
    are and whole: labels become fractions where one was once missing. A column of numbers with gaps
    is left out, unless it is one of these.

    Args:
        table: A `.parquet` file, or one that is read as CSV.
        limit_mib: Largest size of what is read.
        named: Columns that settings name; None where one does not.

    Returns:
        A value for each row, empty where there is none.

    Raises:
        NearfarError: The table is damaged, or there is no such column.
        SettingError: It is larger.
    """
    if table.suffix.lower() != ".parquet":
        return dict(read_csv(table, limit_mib).cells)
    import pyarrow as pa

    columns = table_columns(table)
    wanted = {*named, *called_labels(columns.kinds)}
    gaps = columns_with_gaps(table)
    text, countable = columns.text, columns.countable
    names = [
        name
        for name, kind in columns.kinds.items()
        if name in text
        or (name in countable and name not in gaps)
        or (name in wanted and (name in countable or pa.types.is_floating(kind)))
    ]
    if not names:
        raise NearfarError("no column of text in it")
    read = read_columns(table, names, columns, limit_mib, "data.in_memory_mib")
    cells: dict[str, Sequence[object]] = {}
    for name, column in zip(names, read, strict=True):
        if name in text:
            cells[name] = _stripped(column.to_pylist())
            continue
        numbers = labels_or_gaps(name, column).tolist()
        # Fractions are measured, and no classes.
        if name in named or not any(isinstance(each, float) for each in numbers):
            cells[name] = numbers
    return cells


def _stripped(texts: Sequence[str | None]) -> list[str]:
    """Texts without spaces around them; equal ones are held once."""
    held: dict[str | None, str] = {}
    return [held.setdefault(text, (text or "").strip()) for text in texts]
