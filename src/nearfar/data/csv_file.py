"""CSV files as columns of text, with a limit on what they take in memory."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nearfar.data.arrays import source_from_vectors
from nearfar.data.column_names import answers_among, given, says_missing
from nearfar.data.csv_heading import is_heading
from nearfar.data.source import Source
from nearfar.data.specs import CSVSpec
from nearfar.data.table_values import (
    Features,
    as_numbers,
    features_of_numbers,
    features_of_words,
    gaps_among,
)
from nearfar.errors import NearfarError, SettingError, require_known
from nearfar.outside_text import printable

_DELIMITERS = ",;\t|"
_LOOKED_AT = 20
_WHOLE = re.compile(r"[0-9]{1,18}(\.0*)?")
_BYTES_OF_A_CELL = 64
"""Of memory that a cell takes beside its text."""


@dataclass(frozen=True)
class Columns:
    """A table as text.

    Attributes:
        cells: The values of each column by its name, without spaces around them.
        headed: Whether the names stand in the file; else they are the columns' numbers.
    """

    cells: dict[str, list[str]]
    headed: bool

    @property
    def rows(self) -> int:
        """How many rows there are, the heading not counted."""
        return len(next(iter(self.cells.values())))


def read_csv(path: Path, limit_mib: int) -> Columns:
    """Read a CSV file in UTF-8, its cells divided by commas, semicolons, tabs or bars.

    Where tabs divide cells and quotes cannot be read as such, they are characters, as TSV files
    have them. `is_heading` tells whether the first row holds names.

    Args:
        path: The file.
        limit_mib: Largest size of what is read.

    Raises:
        NearfarError: It is no such file, a row has more or fewer cells than the first, or two
            columns have one name.
        SettingError: It is larger.
    """
    if path.stat().st_size > limit_mib * 2**20:
        raise SettingError(
            f"{path.stat().st_size / 2**20:.0f} MiB, over data.in_memory_mib={limit_mib}: raise it"
        )
    # The reader's own limit, one for the whole process, is 128 KiB a cell.
    longest = csv.field_size_limit(limit_mib * 2**20)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            beginning = [line for line in (file.readline() for _ in range(_LOOKED_AT)) if line]
            file.seek(0)
            delimiter = _delimiter(beginning)
            try:
                rows = _rows(csv.reader(file, delimiter=delimiter, strict=True), limit_mib)
            except (NearfarError, csv.Error):
                if delimiter != "\t":
                    raise
                file.seek(0)
                rows = _rows(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), limit_mib)
    except UnicodeDecodeError as error:
        raise NearfarError(f"not in UTF-8 (at byte {error.start}): save it in UTF-8") from None
    except csv.Error as error:
        raise NearfarError(f"not a readable CSV file ({printable(str(error))})") from None
    finally:
        csv.field_size_limit(longest)
    if not rows:
        raise NearfarError("no row in it")
    headed = is_heading(rows)
    names = rows.pop(0) if headed else [str(number) for number in range(1, len(rows[0]) + 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NearfarError(f"two columns are called {printable(twice[0])}: rename one")
    return Columns({name: [row[at] for row in rows] for at, name in enumerate(names)}, headed)


def _rows(reader: Iterable[list[str]], limit_mib: int) -> list[list[str]]:
    """All rows, as long as they are equally long and small enough."""
    rows, held = [], 0
    for row in reader:
        if not row:
            continue
        held += sum(len(cell) + _BYTES_OF_A_CELL for cell in row)
        if held > limit_mib * 2**20:
            raise SettingError(f"more than data.in_memory_mib={limit_mib} in memory: raise it")
        if rows and len(row) != len(rows[0]):
            raise NearfarError(
                f"row {len(rows) + 1} has {len(row)} cells, and the first has {len(rows[0])}: "
                "mend it"
            )
        rows.append([cell.strip() for cell in row])
    return rows


def load_csv(spec: CSVSpec) -> Source:
    """Read the rows of a CSV table as vectors.

    Columns of numbers are features, in the order of the table, and so is each word of the columns
    of `categories`; one column may hold the labels, and rows whose cell in it is empty become the
    unlabelled part.

    Raises:
        NearfarError: If the file is damaged, or another column holds what is no number.
        SettingError: If the table has no such column or is larger than `in_memory_mib`.
    """
    path = spec.root
    assert path is not None
    try:
        table = read_csv(path, spec.in_memory_mib)
        cells = table.cells
        labelled = given(spec.label_column, "label_column", cells)
        require_known("column in data.leave_out", spec.leave_out, cells)
        require_known("column in data.categories", spec.categories, cells)
        kept = [name for name in cells if name not in (labelled, *spec.leave_out)]
        if not kept:
            raise NearfarError("no column of features in it")
        read = [
            features_of_words(name, cells[name])
            if name in spec.categories
            else _features(name, cells[name], spec.fill_missing)
            for name in kept
        ]
        labels = None if labelled is None else as_labels(cells[labelled])
        source = source_from_vectors(
            np.concatenate([values for _, values in read], axis=1),
            labels,
            test_fraction=spec.test_fraction,
            name="csv",
            minus_one=False,
        )
        told = [] if labels is None else told_of_words(labels)
        columns = tuple(feature for features, _ in read for feature in features)
        notes = (*answers_among(kept, labelled), *gaps_among(columns), *told, *source.notes)
        return replace(source, notes=notes, columns=columns if table.headed else None)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None


def _features(name: str, cells: list[str], fill: bool) -> Features:
    """A column of numbers."""
    there = ["nan" if says_missing(cell) else cell for cell in cells] if fill else cells
    values = as_numbers(there, missing=fill)
    if values is not None:
        return features_of_numbers(name, values)
    wrong = [cell for cell in there if as_numbers([cell], missing=fill) is None]
    told = "empty" if wrong[0] == "" else f"such as {printable(wrong[0][:40])!r}"
    raise NearfarError(
        f"column {printable(name)}: {len(wrong)} of {len(cells)} values are no numbers ({told}); "
        "mend them, leave it out by data.leave_out, let its mean stand for what is missing by "
        "data.fill_missing, or read it as words by data.categories (labels are named by "
        "data.label_column)"
    )


def as_labels(cells: Sequence[str]) -> list[int | str]:
    """Cells as whole numbers where all are, written as `2` or as `2.0`, else as they stand.

    An empty cell is none. Beside whole numbers, what stands for a number that is missing is none
    either, and becomes empty.
    """
    there = [cell for cell in cells if not says_missing(cell)]
    if not there or not all(map(_WHOLE.fullmatch, there)):
        return list(cells)
    return ["" if says_missing(cell) else int(cell.partition(".")[0]) for cell in cells]


def told_of_words(labels: Iterable[object]) -> list[str]:
    """That a word which often means no label is the name of a class here."""
    words = sorted(
        {each for each in labels if isinstance(each, str) and each and says_missing(each)}
    )
    if not words:
        return []
    return [
        f"{printable(words[0])} is read as the name of a class: leave a cell empty where there is "
        "no label"
    ]


def _delimiter(beginning: list[str]) -> str:
    """What divides every one of the first lines into equally many cells, the most of them."""
    best, most = ",", 0
    lines = beginning[:-1] or beginning
    readings = [(delimiter, csv.reader(lines, delimiter=delimiter)) for delimiter in _DELIMITERS]
    readings.append(("\t", csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)))
    for delimiter, reader in readings:
        counts = {len(row) for row in reader}
        if len(counts) == 1 and max(counts) > max(most, 1):
            best, most = delimiter, max(counts)
    return best
