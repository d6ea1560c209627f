"""Records of runs, each a line of JSON, as tools keep them beside their pages in docs/."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfar.durable_files import append_line
from nearfar.errors import NearfarError


def read_records(path: Path) -> list[dict[str, Any]]:
    """Every recorded run, in order.

    Raises:
        NearfarError: A line is damaged.
    """
    records = []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise NearfarError(f"{path}, line {number}, is damaged: {error}") from error
    return records


def is_recorded(path: Path, key: Mapping[str, Any]) -> bool:
    """Whether a record has all of a key's values."""
    return any(key.items() <= record.items() for record in read_records(path))


def add_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add a run.

    Raises:
        NearfarError: The disk is full or refuses.
    """
    append_line(path, json.dumps(record))
