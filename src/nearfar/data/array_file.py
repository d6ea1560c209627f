"""One array out of a file: .npy, .npz or .parquet, or FILE:NAME where a file holds several."""

import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nearfar.data.arrays import UNREADABLE
from nearfar.data.parquet import column_features, read_columns, text_or_numbers
from nearfar.data.parquet_columns import table_columns
from nearfar.errors import NearfarError, SettingError, unknown_name
from nearfar.npy_headers import declared_bytes, declared_in
from nearfar.outside_text import first_line
from nearfar.paths import user_path

_NAMES = "names"
_BESIDE = frozenset((_NAMES, "about", "labels", "parts", "class_names"))
"""Arrays beside the features that `nearfar embed` writes; `about` is there in no other file."""


def read_array(
    word: str, *, limit_mib: int, setting: str, note: Callable[[str], None] = lambda _: None
) -> np.ndarray:
    """Reads the array that a word names.

    An .npz file that holds one array, or one besides `names`, needs no name. Of a Parquet table
    all columns of numbers stand side by side where none is named; index columns of pandas are left
    out, and so is a column `names` of text. Of what `nearfar embed` writes the features are read.
    All that is left out can be named. A single column of whole numbers or text is `(n,)`.

    Args:
        word: `FILE` or `FILE:NAME`.
        limit_mib: Largest size to read.
        setting: What a person raises where that is too low.
        note: Takes what a person should know: columns that were left out.

    Raises:
        NearfarError: There is no such file, it is damaged, or holds pickled objects.
        SettingError: It holds several arrays and none is named, none of that name, or too much.
    """
    path, name = _file_and_name(word)
    readers: dict[str, Callable[[Path, str | None, int, str], np.ndarray]] = {
        ".npy": _from_npy,
        ".npz": _from_npz,
        ".parquet": partial(_from_parquet, note=note),
    }
    if path.suffix not in readers:
        raise SettingError(f"{path}: the name must end in .npy, .npz or .parquet")
    if not path.is_file():
        raise NearfarError(f"no file {path}: check the path")
    try:
        return readers[path.suffix](path, name, limit_mib, setting)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise NearfarError(
            f"{path}: not a readable {path.suffix} file ({first_line(error)})"
        ) from None


def _file_and_name(word: str) -> tuple[Path, str | None]:
    """The two halves of FILE:NAME; a colon may be part of a file's own name."""
    if ":" not in word or user_path(word).is_file():
        return user_path(word), None
    file, _, name = word.rpartition(":")
    return user_path(file), name


def _from_npy(path: Path, name: str | None, limit_mib: int, setting: str) -> np.ndarray:
    """The one array of an .npy file."""
    if name is not None:
        raise SettingError(f"an .npy file holds one array without a name: leave out :{name}")
    with path.open("rb") as file:
        declared = declared_bytes(file, path.name)
        held = path.stat().st_size - file.tell()
    if declared > held:
        raise NearfarError(f"{declared} bytes are declared and {held} are there: it was cut")
    _refuse_large(declared, limit_mib, setting)
    return np.load(path, allow_pickle=False)


def _from_npz(path: Path, name: str | None, limit_mib: int, setting: str) -> np.ndarray:
    """The named or the only array of an .npz file."""
    with zipfile.ZipFile(path) as archive:
        held = [file.removesuffix(".npy") for file in archive.namelist()]
        chosen = _choose(held, name, path)
        # A few kB of zip can unpack to any size: what an array declares is read first.
        _refuse_large(declared_in(archive, f"{chosen}.npy"), limit_mib, setting)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[chosen]


def _from_parquet(
    path: Path, name: str | None, limit_mib: int, setting: str, note: Callable[[str], None]
) -> np.ndarray:
    """The named column of a table, or all its numbers."""
    columns = table_columns(path)
    if name is not None:
        kept = [_choose(list(columns.kinds), name, path)]
    else:
        kept = columns.data or [each for each in columns.kinds if each not in columns.index]
        for each in columns.index_note():
            note(f"{path}: {each}")
    if not kept:
        raise NearfarError("no column of numbers in it")
    read = read_columns(path, kept, columns, limit_mib, setting)
    if kept[0] in columns.text and len(kept) == 1:
        return text_or_numbers(kept[0], read[0])
    features = [column_features(each, column) for each, column in zip(kept, read, strict=True)]
    if len(features) == 1 and features[0].shape[1] == 1:
        return features[0][:, 0]
    return np.concatenate(features, axis=1)


def _choose(held: Sequence[str], name: str | None, path: Path) -> str:
    """The array that is meant, of those that a file holds."""
    if name is not None:
        if name not in held:
            raise unknown_name("array", name, held)
        return name
    left_out = _BESIDE if "about" in held else (_NAMES,)
    kept = [each for each in held if each not in left_out] or list(held)
    if not kept:
        raise NearfarError("it holds no array")
    if len(kept) > 1:
        raise SettingError(f"it holds {', '.join(kept)}: say which, as {path.name}:{kept[0]}")
    return kept[0]


def _refuse_large(size: int, limit_mib: int, setting: str) -> None:
    """What would not fit."""
    if size > limit_mib * 2**20:
        raise SettingError(f"{size / 2**20:.0f} MiB, over {setting}={limit_mib}: raise it")
