"""Features of the values of a table's columns: numbers, numbers with gaps, and words."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Real

from nearfar.data.column_names import says_missing
from nearfar.errors import NearfarError
from nearfar.outside_text import printable
from nearfar.table_features import TableFeature

MOST_WORDS = 1000
"""Different words of a column, each of which is a feature."""
Features = tuple[list[TableFeature], Real[np.ndarray, "rows features"]]
"""What each feature is, and the features of all rows."""


def as_numbers(cells: Sequence[str], missing: bool = False) -> np.ndarray | None:
    """Cells as float64; None where one of them is no number, or is not finite.

    Args:
        cells: As they stand.
        missing: Whether `nan` may be among them.
    """
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        return None
    return values if (np.isfinite(values) | (missing & np.isnan(values))).all() else None


def features_of_words(column: str, words: Sequence[str | None]) -> Features:
    """A feature for each different word, in sorted order; 1 in the rows that have it, else 0.

    Args:
        column: Its name.
        words: One for each row; None, or as tables write a missing value, where there is none: such
            a row has 0 in all. Where there is no word at all, one feature says so.

    Raises:
        NearfarError: There are more than a thousand different ones.
    """
    there = [None if word is None or says_missing(word) else word for word in words]
    known = sorted({word for word in there if word is not None})
    if len(known) > MOST_WORDS:
        raise NearfarError(
            f"column {printable(column)} of data.categories has {len(known):,} different words, "
            f"and each is a feature of its own: 1 to {MOST_WORDS:,} are read; leave it out by "
            "data.leave_out"
        )
    if not known:
        return [TableFeature(column, missing=True)], np.ones((len(words), 1))
    places = {word: place for place, word in enumerate(known)}
    values = np.zeros((len(words), len(known)))
    for row, word in enumerate(there):
        if word is not None:
            values[row, places[word]] = 1
    return [TableFeature(column, word) for word in known], values


def features_of_numbers(column: str, numbers: Float64[np.ndarray, " rows"]) -> Features:
    """The numbers with their mean where they are missing, and a feature that is 1 there.

    Args:
        column: Its name.
        numbers: NaN where they are missing; where none is, they are the only feature.
    """
    missing = np.isnan(numbers)
    fill = 0.0 if missing.all() else float(numbers[~missing].mean())
    number = TableFeature(column, fill=fill)
    if not missing.any():
        return [number], numbers[:, None]
    values = np.stack([np.where(missing, fill, numbers), missing.astype(np.float64)], axis=1)
    return [number, TableFeature(column, missing=True)], values


def gaps_among(
    features: Sequence[TableFeature], filled_by: str = "the mean of the others"
) -> tuple[str, ...]:
    """What to tell of the columns in which numbers are missing."""
    numbers = {each.column for each in features if each.is_number}
    names = [printable(each.column) for each in features if each.missing and each.column in numbers]
    if not names:
        return ()
    return (f"{filled_by} stands for numbers that are missing in {', '.join(names)}",)
