"""Paired samples: checked and flat, labels numbered; scaled by columns; cut into three parts."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor

from nearfar.data.array_likes import as_array, vectors_of
from nearfar.data.labels import encode_labels
from nearfar.errors import NearfarError
from nearfar.information.reliability import carried_by_few


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


HEAVY = 0.04
"""Share of a column's values that make up half of its variance where its tails are heavy: beyond
those of an exponential variable (5 %). Student's t of 3 degrees (3.4 %) is among them: means of
exponentials blow up on its standardised columns."""


def normal_scores(values: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """`Φ⁻¹((r − ½) / n)` of each value's rank r, from 1; equal values share their mean rank."""
    return ndtri((rankdata(values) - 0.5) / len(values))


class Scaled:
    """Brings rows to the scale of the samples to learn from, column by column.

    A column is standardised; one with heavy tails is taken by the normal scores of its values, and
    a value between two of the samples by a score between theirs, in a straight line. A value beyond
    all of the samples counts as the nearest of them.

    Args:
        training: Samples of the training part alone: what is estimated on the others is then a
            value of a critic that has not seen them.
    """

    def __init__(self, training: Float64[Tensor, "n features"]) -> None:
        self._columns = [_known_points(column) for column in training.numpy().T]

    def __call__(self, rows: Float64[Tensor, "m features"]) -> Float32[Tensor, "m features"]:
        """The rows, scaled."""
        scaled = np.empty(rows.shape, dtype=np.float32)
        for place, (values, scores) in enumerate(self._columns):
            scaled[:, place] = np.interp(rows[:, place].numpy(), values, scores)
        return torch.from_numpy(scaled)


def _known_points(column: Float64[ndarray, " n"]) -> tuple[ndarray, ndarray]:
    """Values of a column in rising order and what becomes of each; lines lead from one to the next.

    Of a column that is standardised these are its ends.
    """
    if carried_by_few(column, HEAVY):
        values, first = np.unique(column, return_index=True)
        return values, normal_scores(column)[first]
    largest = np.abs(column).max()
    ends = np.array([column.min(), column.max()])
    if largest == 0:
        return ends, ends
    unit = column / largest  # whose squares are finite
    spread, centre = unit.std(), unit.mean()
    return ends, (ends / largest - centre) / (spread if spread > 0 else 1.0)


TRAINING, VALIDATION, TEST = 0.6, 0.15, 0.25
"""Shares of the samples. Test outweighs validation: the interval lives on the number of batches."""
_TEST_BATCHES = 2
"""Below two batches nothing is known of the spread between them."""


@dataclass(frozen=True)
class Parts:
    """Indices of the samples of each part; no sample is in two."""

    training: Int64[Tensor, " train"]
    validation: Int64[Tensor, " validation"]
    test: Int64[Tensor, " test"]


def fewest_samples(batch_size: int) -> int:
    """Samples below which a part is smaller than its batches."""
    return int(np.ceil(max(1 / TRAINING, 1 / VALIDATION, _TEST_BATCHES / TEST) * batch_size))


def split(count: int, batch_size: int, seed: int) -> Parts:
    """Shuffles the samples into three parts.

    Args:
        count: Number of samples.
        batch_size: Of the batches that each part must fill: one of training and of validation, two
            of test.
        seed: Decides the shuffle.

    Raises:
        NearfarError: There are too few samples.
    """
    needed = fewest_samples(batch_size)
    if count < needed:
        smaller = int(count * min(TRAINING, VALIDATION, TEST / _TEST_BATCHES))
        advice = f"lower batch_size to {smaller}" if smaller >= 2 else "give more samples"
        raise NearfarError(
            f"{count} samples are too few for three parts in batches of {batch_size}, which take "
            f"{needed}: {advice}"
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    # Rounded to ints before they are added up, so that no sample is lost between two parts.
    test, validation = int(TEST * count), int(VALIDATION * count)
    return Parts(
        training=order[test + validation :],
        validation=order[test : test + validation],
        test=order[:test],
    )


def batches(part: Int64[Tensor, " part"], batch_size: int) -> list[Int64[Tensor, " batch"]]:
    """A part cut into whole batches, always the same; what is left over is left out."""
    return list(part[: len(part) // batch_size * batch_size].split(batch_size))
