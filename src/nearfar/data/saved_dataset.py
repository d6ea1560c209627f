"""Columns of a data set that Hugging Face's `datasets` saved to disk, read from its Arrow files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nearfar.data.folder_parts import part_named
from nearfar.data.folder_tree import some
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import first_line, printable

_SPLITS, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"


@dataclass(frozen=True)
class SavedColumns:
    """Columns of text, of whole numbers and of classes, by their names.

    Attributes:
        cells: The values of each, those of the training part first; a missing one is empty.
        train_rows: How many rows are for training; the others are for test.
        notes: Which splits were passed over.
    """

    cells: Mapping[str, Sequence[object]]
    train_rows: int
    notes: tuple[str, ...]


def read_saved_dataset(folder: Path, limit_mib: int) -> SavedColumns:
    """Read a data set as `save_to_disk` leaves it; classes are told by their names.

    Args:
        folder: Of one data set, or of several splits, of which `train` is learnt from and `test`,
            or else a validation split, is for test.
        limit_mib: Largest size of its files.

    Raises:
        NearfarError: It is no such folder, or a file of it is missing or damaged.
        SettingError: It is larger.
    """
    train, test, passed = named_splits(folder)
    notes = (f"passed over the splits {some(passed)}",) if passed else ()
    cells = _columns(train, limit_mib)
    rows = len(next(iter(cells.values())))
    if test is not None:
        others = _columns(test, limit_mib)
        cells = {name: [*cells[name], *others[name]] for name in cells if name in others}
    if not cells:
        raise NearfarError(
            f"{printable(train.name)} and {printable('' if test is None else test.name)} share no "
            "column"
        )
    return SavedColumns(cells, rows, notes)


def named_splits(folder: Path) -> tuple[Path, Path | None, list[str]]:
    """The folders to learn from and, where there is one, to judge by, and what is passed over.

    Args:
        folder: Of one data set, which is learnt from, or of several splits.

    Raises:
        NearfarError: No split is called train, or one is no plain name.
    """
    if not (folder / _SPLITS).is_file():
        return folder, None, []
    named = [str(each) for each in _json(folder / _SPLITS).get("splits", [])]
    by_part = {part_named(each): each for each in reversed(named)}
    train, test = by_part.get("train"), by_part.get("test") or by_part.get("val")
    if train is None:
        raise NearfarError(f"no split train among {some(named)}")
    for each in filter(None, (train, test)):
        _plain(each)
    passed = [each for each in named if each not in (train, test)]
    return folder / train, None if test is None else folder / test, passed


def data_files(folder: Path) -> list[Path]:
    """The Arrow files of one data set, in their order.

    Raises:
        NearfarError: pyarrow is missing, or none is named.
    """
    if find_spec("pyarrow") is None:
        raise NearfarError("reading Arrow files needs pyarrow: pip install 'nearfar[parquet]'")
    state = _json(folder / _STATE)
    files = [folder / _plain(str(each["filename"])) for each in state.get("_data_files", [])]
    if not files:
        raise NearfarError(f"{printable(folder.name)}/{_STATE} names no file of data")
    return files


def _columns(folder: Path, limit_mib: int) -> dict[str, Sequence[object]]:
    """The columns of one split."""
    files = data_files(folder)
    import pyarrow as pa

    tables = []
    try:
        size = sum(file.stat().st_size for file in files)
        if size > limit_mib * 2**20:
            raise SettingError(
                f"{size / 2**20:.0f} MiB, over data.in_memory_mib={limit_mib}: raise it"
            )
        for file in files:
            with pa.memory_map(str(file)) as held, pa.ipc.open_stream(held) as reader:
                tables.append(reader.read_all())
        table = pa.concat_tables(tables)
    except (OSError, pa.ArrowException) as error:
        reason = first_line(error)
        raise NearfarError(f"not a readable Arrow file ({printable(reason)})") from None
    classes = class_names(folder)
    found: dict[str, Sequence[object]] = {}
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            continue
        values = table.column(name).to_pylist()
        if name in classes:
            values = [_named(each, classes[name]) for each in values]
        found[name] = [
            "" if each is None else each.strip() if isinstance(each, str) else each
            for each in values
        ]
    if not found:
        raise NearfarError("no column of text in it")
    return found


def class_names(folder: Path) -> dict[str, list[str]]:
    """The names of the classes of each column that holds such."""
    file = folder / _INFO
    features = _json(file).get("features") if file.is_file() else None
    return {
        name: [str(each) for each in said["names"]]
        for name, said in (features or {}).items()
        if isinstance(said, Mapping) and said.get("_type") == "ClassLabel" and "names" in said
    }


def _named(number: Any, names: Sequence[str]) -> str:
    """The name of a class; empty where the label is missing, which is told by -1 or nothing."""
    there = isinstance(number, int) and 0 <= number < len(names)
    return names[number] if there else ""


def _plain(name: str) -> str:
    """A name of something in the folder itself.

    Raises:
        NearfarError: It leads elsewhere.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise NearfarError(f"{printable(name)!r} is no name of a file beside the others")
    return name


def _json(file: Path) -> dict[str, Any]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        held = None
    if not isinstance(held, dict):
        raise NearfarError(
            f"{printable(file.name)} is missing or damaged: give a table, or a folder that "
            "save_to_disk of the library datasets wrote"
        )
    return held


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
