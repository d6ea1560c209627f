"""What callers give as arrays: nothing that is missing is taken for a value; series and vectors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.errors import NearfarError


def as_array(values: Any, what: str, *, advice: str) -> ndarray:
    """An array, list, tensor, or table of pandas as an array of NumPy.

    Args:
        values: Tensors may be on any device and have a gradient; bfloat16 becomes float32.
        what: Names them in messages.
        advice: What to do about rows of different lengths.

    Raises:
        NearfarError: Rows differ in length, or values are masked.
    """
    refuse_masked(values, what)
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        return np.asarray(values)
    except ValueError:  # NumPy's word for lists of different lengths
        raise NearfarError(f"{what}: rows of different lengths; {advice}") from None


def refuse_masked(values: Any, what: str) -> None:
    """Refuse masked values: as plain arrays they would lose the mask, and hold what is under it.

    Args:
        values: A masked array that masks nothing passes, as does everything that has no mask.
        what: Names them in the message.

    Raises:
        NearfarError: Values are masked; says in how many examples, and which is the first.
    """
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        if mask.ndim and not mask.dtype.names:
            rows = list(np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1)))
            count = len(mask)
        else:  # a single value, or records with a mask for each field
            rows, count = [0] if np.ma.is_masked(values) else [], max(1, values.size)
    elif isinstance(values, list | tuple):
        rows, count = [row for row, each in enumerate(values) if _holds_masked(each)], len(values)
    else:
        return
    if rows:
        raise NearfarError(
            f"{what}: masked values in {len(rows)} of {count} examples (first: {rows[0]}); fill in "
            "or leave out what is missing"
        )


def _holds_masked(value: Any) -> bool:
    """Whether something in a list, however deep, is masked."""
    return any(np.ma.is_masked(each) for each in _masked_arrays(value))


def _masked_arrays(value: Any) -> Iterator[np.ma.MaskedArray]:
    """The masked arrays in lists of lists."""
    if isinstance(value, np.ma.MaskedArray):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _masked_arrays(each)


LARGEST = np.float64(np.finfo(np.float32).max)
"""Of the values that are taken: beyond, squares would leave the range of float64."""
_WHOLE = 2**53
"""Whole numbers up to it are exact in float64."""


def series_of(array: ArrayLike, what: str) -> Float[Tensor, "n channels steps"]:
    """Series as the rest of nearfar takes them.

    float32 where that holds every value of the array's type exactly; else float64, so that a large
    offset costs no digits before it is subtracted.

    Args:
        array: Real numbers, `(n, channels, steps)` or, for one channel, `(n, steps)`.
        what: Names the array in messages.

    Raises:
        NearfarError: Another shape or type, series of different lengths, or a value that is
            masked or not finite.
    """
    values = _numbers(array, what, advice="pad or cut all series to one length")
    if values.ndim == 2:
        values = values[:, None]
    if values.ndim != 3:
        raise NearfarError(
            f"{what}: shape {values.shape}; give (n, channels, steps), or (n, steps) for one "
            "channel"
        )
    return _finite(values, what)


def vectors_of(array: ArrayLike, what: str) -> Float[Tensor, "n features"]:
    """Vectors as the rest of nearfar takes them: float32 or float64, as in `series_of`.

    Args:
        array: Real numbers, `(n, features)`.
        what: Names the array in messages.

    Raises:
        NearfarError: Another shape or type, vectors of different lengths, or a value that is
            masked or not finite.
    """
    values = _numbers(array, what, advice="all vectors must have the same features")
    if values.ndim != 2:
        raise NearfarError(f"{what}: shape {values.shape}; give (n, features)")
    return _finite(values, what)


def padded(series: list[Float32[ndarray, "channels _"]], length: int) -> ndarray:
    """Series of different lengths brought to one: each channel goes on with its last value.

    Args:
        series: One step or more each.
        length: That of the longest.
    """
    return np.stack(
        [np.pad(each, ((0, 0), (0, length - each.shape[1])), mode="edge") for each in series]
    )


def _numbers(array: ArrayLike, what: str, *, advice: str) -> ndarray:
    """The array, if it is a regular one of real numbers."""
    values = as_array(array, what, advice=advice)
    if values.dtype == object:
        raise NearfarError(f"{what}: an array of objects, as of different lengths; {advice}")
    if values.dtype.kind not in "iuf":
        raise NearfarError(f"{what}: {values.dtype} values; give real numbers, such as float32")
    return values


def _finite(values: ndarray, what: str) -> Tensor:
    """The values as a tensor, if there are any and all of them are finite."""
    if values.size == 0:
        raise NearfarError(f"{what}: shape {values.shape} holds no value")
    bad = ~(np.abs(values) <= LARGEST).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise NearfarError(
            f"{what}: NaN, infinite or too large for float32 in {int(bad.sum())} of {len(values)} "
            f"examples (first: {int(bad.argmax())}); fill in or leave out what is missing"
        )
    if values.dtype.kind in "iu":
        _refuse_close_together(values, what)
    kind = np.float32 if np.can_cast(values.dtype, np.float32) else np.float64
    # Writable, which torch asks for: an array in a read-only file is copied.
    return torch.from_numpy(np.require(values, kind, ["C", "W"]))


def _refuse_close_together(values: ndarray, what: str) -> None:
    """Refuse whole numbers beyond 2⁵³ whose differences would be lost in float64."""
    columns = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    lowest, highest = columns.min(axis=1).tolist(), columns.max(axis=1).tolist()
    for number, (low, high) in enumerate(zip(lowest, highest, strict=True)):
        size = max(abs(low), abs(high))
        if size > _WHOLE and 0 < high - low < 1000 * size // _WHOLE:
            raise NearfarError(
                f"{what}: column {number} holds whole numbers around {size} that differ by at most "
                f"{high - low}, which float64 cannot tell apart: subtract {low} first"
            )
