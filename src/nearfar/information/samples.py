"""Paired samples, checked and flat: numbers in float64, labels numbered."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.data.array_likes import as_array
from nearfar.data.float_arrays import vectors_of
from nearfar.data.labels import encode_labels
from nearfar.errors import NearfarError


@dataclass(frozen=True)
class Samples:
    """n pairs of x and z.

    Attributes:
        x: One row a sample, in float64 as it was given, in float32 as critics take it.
        z: Likewise, or one label a sample, numbered from 0 without gaps.
        classes: Number of labels; None where z is no label.
    """

    x: Float[Tensor, "n features"]
    z: Float[Tensor, "n others"] | Int64[Tensor, " n"]
    classes: int | None

    def __len__(self) -> int:
        return len(self.x)


def paired_samples(x: ArrayLike | Tensor, z: ArrayLike | Tensor) -> Samples:
    """Checks both sides and brings them into one form.

    Args:
        x: `(n,)` or `(n, …)` real numbers; further dimensions are flattened.
        z: Likewise; or `(n,)` whole numbers or strings, which are labels.

    Raises:
        NearfarError: They are not of one length, masked, not finite, constant, labels of one class,
            or labels stand where numbers must.
    """
    advice = "all must hold the same features"
    first, second = as_array(x, "x", advice=advice), as_array(z, "z", advice=advice)
    for name, array in (("x", first), ("z", second)):
        if array.ndim == 0:
            raise NearfarError(f"{name} is a single value: give one row for each sample")
    if len(first) != len(second):
        raise NearfarError(
            f"x holds {len(first)} samples and z {len(second)}: they must be pairs, row by row"
        )
    if _are_labels(first):
        raise NearfarError(
            f"x: shape {first.shape} of {first.dtype} would be labels, which come second, as z; "
            "numbers are given as floats"
        )
    if _are_labels(second):
        labels, classes = _labels(second)
        return Samples(_numbers(first, "x"), labels, classes)
    return Samples(_numbers(first, "x"), _numbers(second, "z"), None)


def repeated_in(
    pairs: Samples, part: Int64[Tensor, " part"], other: Int64[Tensor, " other"]
) -> int:
    """How many samples of a part occur, to the last bit, in another part too."""
    z = pairs.z if pairs.z.ndim == 2 else pairs.z[:, None]
    rows = np.hstack([pairs.x.numpy().view(np.uint8), np.ascontiguousarray(z).view(np.uint8)])
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()
    known = {row.tobytes() for row in whole[other.numpy()]}
    return sum(row.tobytes() in known for row in whole[part.numpy()])


def _are_labels(array: np.ndarray) -> bool:
    """One whole number, truth value or string for each sample."""
    if array.ndim != 1:
        return False
    text = array.dtype.kind == "O" and all(isinstance(value, str) for value in array)
    return text or array.dtype.kind in "biuU"


def _labels(array: np.ndarray) -> tuple[Int64[Tensor, " n"], int]:
    """Labels numbered from 0, and how many there are."""
    labels, known = encode_labels(array, len(array), what="z", examples="samples")
    if len(known) < 2:
        raise NearfarError(
            f"z: all {len(array)} labels are {known[0] if known else 'missing'}: one class alone "
            "shares nothing with anything"
        )
    if 2 * len(known) > len(array):
        raise NearfarError(
            f"z: {len(known)} different labels in {len(array)} samples are no classes; if they are "
            "numbers, give them as floats"
        )
    return labels, len(known)


def _numbers(array: np.ndarray, what: str) -> Float64[Tensor, "n features"]:
    """Numbers as one float64 row a sample; whole numbers are counted from the least of a column."""
    if array.size:
        array = array.reshape(len(array), -1)
        if array.dtype.kind in "iu":
            # Beyond 2^53 float64 no longer tells neighbours apart. In unsigned numbers, which begin
            # anew at 2^64, the difference is exact whatever the type.
            array = array.astype(np.uint64) - array.min(axis=0).astype(np.uint64)
            array = array.astype(np.float64)
    rows = vectors_of(array, what).double()
    if bool((rows == rows[0]).all()):
        raise NearfarError(
            f"{what}: all {len(rows)} samples are the same: a constant shares nothing with anything"
        )
    return rows + 0.0  # −0 becomes 0
