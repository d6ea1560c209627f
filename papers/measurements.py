"""Rows of measurements: chosen, grouped, and read as arrays."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pandas as pd


def where(data: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows that have these values in these columns."""
    for name, value in values.items():
        data = cast(pd.DataFrame, data[data[name] == value])
    return data


def groups(data: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of every value of a column, or of several, in the order of their first rows."""
    by = columns[0] if len(columns) == 1 else list(columns)
    yield from data.groupby(by, sort=False)


def values(data: pd.DataFrame, column: str) -> np.ndarray:
    """A column, row by row."""
    return np.asarray(data[column])


def distinct(data: pd.DataFrame, column: str) -> list[Any]:
    """The values of a column, in order."""
    return np.unique(values(data, column)).tolist()


def curve(data: pd.DataFrame, x: str, y: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every x, and the mean and the sample standard deviation of y there."""
    places = distinct(data, x)
    found = [values(where(data, **{x: place}), y) for place in places]
    return (
        np.array(places),
        np.array([each.mean() for each in found]),
        np.array([each.std(ddof=1) if len(each) > 1 else 0.0 for each in found]),
    )
