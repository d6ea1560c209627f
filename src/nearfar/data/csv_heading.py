"""Whether the first row of a CSV file holds the names of its columns."""

from collections.abc import Sequence
from pathlib import Path

from nearfar.data.column_names import says_missing
from nearfar.data.table_values import as_numbers

_COUNTED = 3
"""Whole numbers in a row, each the next one, that are told from data."""


def is_heading(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is a heading.

    It is where none of its cells is a number and none has the ending of a file that the cell
    beneath has; where a word stands over a column of numbers; and where the numbers in it count up,
    as a frame's columns without names do (0, 1, 2), or years, and those beneath do not.

    Args:
        rows: All rows, equally long, without spaces around their cells.
    """
    if len(rows) < 2 or any(map(_both_files, rows[0], rows[1])):
        return False
    if not any(map(_is_number, rows[0])):
        return True
    words = [at for at, cell in enumerate(rows[0]) if not (says_missing(cell) or _is_number(cell))]
    if any(_numbers_alone([row[at] for row in rows[1:]]) for at in words):
        return True
    return _counts_up(rows[0]) and not _counts_up(rows[1])


def _both_files(first: str, second: str) -> bool:
    if _is_number(first) or _is_number(second):
        return False
    ending = Path(first).suffix.lower()
    return bool(ending) and ending == Path(second).suffix.lower()


def _numbers_alone(cells: Sequence[str]) -> bool:
    there = [cell for cell in cells if not says_missing(cell)]
    return bool(there) and as_numbers(there) is not None


def _counts_up(row: Sequence[str]) -> bool:
    """Whether the numbers among the cells are whole and each is the one before it and one."""
    numbers = [cell for cell in row if _is_number(cell)]
    if len(numbers) < _COUNTED or not all(cell.isdecimal() for cell in numbers):
        return False
    return [int(cell) for cell in numbers] == list(
        range(int(numbers[0]), int(numbers[0]) + len(numbers))
    )


def _is_number(cell: str) -> bool:
    return as_numbers([cell]) is not None
