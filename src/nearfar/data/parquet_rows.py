"""Single rows of Parquet files: the group of rows that one is in is read, and some are held."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data.image_faults import UnreadableImageError
from nearfar.data.parquet_columns import opened_parquet
from nearfar.data.shard_images import Places, Shard
from nearfar.outside_text import first_line

MOST_HELD = 2**26
"""Bytes of groups that a process holds, unless the newest one alone is larger."""
_LARGE_GROUP = 2**24
"""Bytes of a group from which on reading it for one image is told of."""


class HeldGroups:
    """The groups of rows of some files that were read last, of one process.

    Attributes:
        size: Bytes of those that are held.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[Path, int], Any] = OrderedDict()
        self.size = 0

    def get(self, path: Path, group: int, read: Callable[[], Any]) -> Any:
        """The values of one group: held, or read now, where others go to make room."""
        key = (path, group)
        if key not in self._groups:
            self._groups[key] = values = read()
            self.size += values.nbytes
            while self.size > MOST_HELD and len(self._groups) > 1:
                self.size -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return self._groups[key]

    def __reduce__(self) -> tuple[type["HeldGroups"], tuple[()]]:
        """Another process begins with none."""
        return HeldGroups, ()


class ParquetReader:
    """One column of a Parquet file, read by the row.

    Args:
        column: Its name.
        groups: Holds some groups, of this file and of others.
        path: The file.
    """

    def __init__(self, column: str, groups: HeldGroups, path: Path) -> None:
        from pyarrow import parquet

        self._file, self._path = parquet.ParquetFile(path), path
        self._column = column
        metadata = self._file.metadata
        counts = (metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
        self._firsts = [0, *accumulate(counts)]
        self._groups = groups

    def read(self, place: int, size: int) -> bytes | None:  # noqa: ARG002  it is a group's here
        """The bytes in one row; None where there are none."""
        group = bisect_right(self._firsts, place) - 1
        values = self._groups.get(self._path, group, partial(self._read, group))
        return bytes_of(values[place - self._firsts[group]])

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _read(self, group: int) -> Any:
        """The column's values in one group."""
        import pyarrow as pa

        try:
            return self._file.read_row_group(group, columns=[self._column]).column(0)
        except pa.ArrowException as error:
            reason = first_line(error)
            raise UnreadableImageError(f"its group cannot be read: {reason}") from None


def bytes_of(value: Any) -> bytes | None:
    """What a cell holds: bytes, or a struct of bytes and a path."""
    found = value.as_py()
    return found.get("bytes") if isinstance(found, dict) else found


def places_in_parquet(files: Sequence[Path], column: str) -> Places:
    """Where the rows of Parquet files lie; as their size counts that of their group.

    Raises:
        NearfarError: A file cannot be read.
    """
    shards, numbers, places, sizes = [], [], [], []
    for number, path in enumerate(files):
        shards.append(Shard.now(path))
        with opened_parquet(path) as file:
            metadata = file.metadata
            groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        places.append(np.arange(metadata.num_rows))
        numbers.append(np.full(metadata.num_rows, number))
        sizes += [np.full(group.num_rows, group.total_byte_size) for group in groups]
    opened = partial(ParquetReader, column, HeldGroups())
    return Places(shards, *map(_joined, (numbers, places, sizes)), opened=opened)


def costly_groups(files: Sequence[Path]) -> str | None:
    """A note on groups of rows that are large, where there are such."""
    worst, rows = 0, 0
    for path in files:
        with opened_parquet(path) as file:
            for at in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(at)
                if group.total_byte_size > worst:
                    worst, rows = group.total_byte_size, group.num_rows
    if worst <= _LARGE_GROUP:
        return None
    return (
        f"groups of up to {rows:,} rows, {worst / 2**20:.0f} MiB: where images stream, each one "
        "that is drawn has its group read; written with row_group_size=16, or as tar files "
        "(image-tar), they stream faster"
    )


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *arrays])
