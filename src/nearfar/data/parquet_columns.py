"""What a Parquet file says of its columns, before any value is read."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError
from nearfar.outside_text import first_line, printable

NAMES = "names"
"""The column of file names that `nearfar embed` writes."""
EMBEDDED = b"nearfar"
"""Key of what it says of the features, among the metadata of the table."""
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class TableColumns:
    """What a file says of its columns.

    Attributes:
        kinds: Arrow's type of each column, by its name, in the order of the file.
        index: Those that are the index of a table of pandas: row numbers, most often, which the
            rows were sorted or drawn by, and no measurement.
        embedded: It is what `nearfar embed` writes: `features`, and what belongs to their rows.
    """

    kinds: dict[str, Any]
    index: tuple[str, ...]
    embedded: bool = False

    @property
    def text(self) -> list[str]:
        """The columns of strings."""
        return [name for name, kind in self.kinds.items() if is_text(kind)]

    @property
    def countable(self) -> list[str]:
        """The columns of strings, whole numbers and booleans, whose values may be classes."""
        import pyarrow as pa

        return [
            name
            for name, kind in self.kinds.items()
            if is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        ]

    @property
    def data(self) -> list[str]:
        """The columns that are no index and no `names` of text."""
        if self.embedded:
            return ["features"]
        named = [NAMES] if NAMES in self.text else []
        return [name for name in self.kinds if name not in self.index and name not in named]

    def index_note(self) -> tuple[str, ...]:
        """What to tell of the index columns, where there are any."""
        if not self.index:
            return ()
        names = ", ".join(printable(name) for name in self.index)
        several = "s" if len(self.index) > 1 else ""
        return (f"left out the index column{several} of pandas: {names}",)


def table_columns(path: Path) -> TableColumns:
    """Reads what a file says of its columns, and no value.

    Raises:
        NearfarError: pyarrow is missing, the file is damaged, or two columns have one name.
    """
    with opened_parquet(path) as file:
        schema = file.schema_arrow
    twice = {name for name in schema.names if schema.names.count(name) > 1}
    if twice:
        raise NearfarError(f"two columns are called {sorted(twice)[0]}: rename one")
    listed = _listed_index(schema.metadata or {})
    index = [name for name in schema.names if name in listed or _UNNAMED_INDEX.fullmatch(name)]
    kinds = dict(zip(schema.names, schema.types, strict=True))
    embedded = EMBEDDED in (schema.metadata or {}) and "features" in kinds
    return TableColumns(kinds, tuple(index), embedded)


def columns_with_gaps(path: Path) -> dict[str, float]:
    """The share of values that are missing, by the file's word, of each column with such; no value
    is read.

    Raises:
        NearfarError: pyarrow is missing, or the file is damaged.
    """
    with opened_parquet(path) as file:
        about = file.metadata
        chunks = [
            about.row_group(group).column(column)
            for group in range(about.num_row_groups)
            for column in range(about.num_columns)
        ]
    missing: Counter[str] = Counter()
    for chunk in chunks:
        if chunk.statistics is not None and chunk.statistics.null_count:
            missing[chunk.path_in_schema] += chunk.statistics.null_count
    return {name: count / about.num_rows for name, count in missing.items()}


@contextmanager
def opened_parquet(path: Path, **options: Any) -> Iterator[Any]:
    """The file, with pyarrow's errors in words."""
    if find_spec("pyarrow") is None:
        raise NearfarError("reading parquet needs pyarrow: pip install 'nearfar[parquet]'")
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, **options) as file:
            yield file
    except (pa.ArrowException, OSError, MemoryError) as error:
        reason = first_line(error)
        raise NearfarError(f"not a readable Parquet file ({reason})") from None


def _listed_index(metadata: dict[bytes, bytes]) -> list[str]:
    """The index columns that pandas wrote down; a range of numbers takes no column."""
    try:
        described = json.loads(metadata.get(b"pandas", b"{}"))
        listed = described.get("index_columns", [])
        return [name for name in listed if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise NearfarError(
            "what pandas wrote down of its index columns is damaged: write the table anew"
        ) from None


def is_text(kind: Any) -> bool:
    """Strings, in whatever form; pandas writes categories as a dictionary."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
