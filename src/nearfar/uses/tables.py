"""What a use finds, as a table: CSV or Parquet, by the ending of the name."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.durable_files import write_durably


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of one length; None is a value that is missing.

    Args:
        path: `.csv` or `.parquet`.
        columns: By name.
    """
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        sink = io.BytesIO()
        parquet.write_table(pa.table({name: list(held) for name, held in columns.items()}), sink)
        write_durably(path, sink.getvalue())
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_durably(path, text.getvalue().encode("utf-8", "backslashreplace"))
