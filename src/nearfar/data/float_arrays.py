"""Series and vectors from arrays of real numbers: float32, of one length, every value finite."""

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.errors import NearfarError


def series_of(array: ArrayLike, what: str) -> Float32[Tensor, "n channels steps"]:
    """Series as the rest of nearfar takes them.

    Args:
        array: Real numbers, `(n, channels, steps)` or, for one channel, `(n, steps)`.
        what: Names the array in messages.

    Raises:
        NearfarError: Another shape or type, series of different lengths, or a value that is not
            finite.
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


def vectors_of(array: ArrayLike, what: str) -> Float32[Tensor, "n features"]:
    """Vectors as the rest of nearfar takes them.

    Args:
        array: Real numbers, `(n, features)`.
        what: Names the array in messages.

    Raises:
        NearfarError: Another shape or type, vectors of different lengths, or a value that is not
            finite.
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
    try:
        values = np.asarray(array)
    except ValueError:  # NumPy's word for lists of different lengths
        raise NearfarError(f"{what}: rows of different lengths; {advice}") from None
    if values.dtype == object:
        raise NearfarError(f"{what}: an array of objects, as of different lengths; {advice}")
    if values.dtype.kind not in "iuf":
        raise NearfarError(f"{what}: {values.dtype} values; give real numbers, such as float32")
    return values


def _finite(values: ndarray, what: str) -> Tensor:
    """The values as float32, if there are any and all of them are finite."""
    if values.size == 0:
        raise NearfarError(f"{what}: shape {values.shape} holds no value")
    with np.errstate(over="ignore"):  # what does not fit into float32 is told below
        tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    bad = (~torch.isfinite(tensor)).flatten(1).any(dim=1)
    if bool(bad.any()):
        raise NearfarError(
            f"{what}: NaN, infinite or too large for float32 in {int(bad.sum())} of {len(tensor)} "
            f"examples (first: {int(bad.nonzero()[0, 0])}); fill in or leave out what is missing"
        )
    return tensor
