"""A table as a page shows it: every column can be sorted by, without a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Head:
    """The head of a column.

    Attributes:
        title: Above it.
        number: Whether it holds figures, which stand at its right.
        highest_first: Whether a first click puts the highest on top.
    """

    title: str
    number: bool = False
    highest_first: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What it shows.
        value: What it is sorted by; empty where there is nothing to sort by.
    """

    text: str
    value: Any = ""

    @classmethod
    def of(cls, text: str, value: Any) -> "Cell":
        """A cell that is sorted by a value, which may be missing."""
        return cls(text, "" if value is None else value)


@dataclass(frozen=True)
class SortableTable:
    """The whole of it; the first cell of a row names it."""

    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
