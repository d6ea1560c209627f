"""The cells of a table of texts or of file names, CSV or Parquet: both are read alike."""

from collections.abc import Sequence
from pathlib import Path

from nearfar.data.csv_file import read_csv
from nearfar.data.parquet import read_columns, table_columns, text_or_numbers
from nearfar.errors import NearfarError


def table_cells(table: Path, limit_mib: int) -> dict[str, Sequence[object]]:
    """The columns of text by name, without spaces around it, and whole numbers of Parquet as such.

    Args:
        table: A `.parquet` file, or one that is read as CSV.
        limit_mib: Largest size of what is read.

    Returns:
        A value for each row; a text that is missing is empty.

    Raises:
        NearfarError: The table is damaged, a number is missing, or there is no such column.
        SettingError: It is larger.
    """
    if table.suffix.lower() != ".parquet":
        return dict(read_csv(table, limit_mib).cells)
    import pyarrow as pa

    columns = table_columns(table)
    names = [
        name
        for name, kind in columns.kinds.items()
        if name in columns.text or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    ]
    if not names:
        raise NearfarError("no column of text in it")
    read = read_columns(table, names, columns, limit_mib, "data.in_memory_mib")
    return {
        name: _stripped(column.to_pylist())
        if name in columns.text
        else text_or_numbers(name, column).tolist()
        for name, column in zip(names, read, strict=True)
    }


def _stripped(texts: Sequence[str | None]) -> list[str]:
    """Texts without spaces around them; equal ones are held once."""
    held: dict[str | None, str] = {}
    return [held.setdefault(text, (text or "").strip()) for text in texts]
