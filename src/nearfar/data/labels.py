"""Labels as the rest of nearfar needs them: int64, from 0, without gaps."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.data.array_likes import as_array
from nearfar.data.source import Part
from nearfar.errors import NearfarError


def encode_labels(
    labels: ArrayLike,
    count: int,
    *,
    what: str = "labels",
    classes: Sequence | None = None,
    examples: str = "images",
) -> tuple[Int64[Tensor, " n"], list]:
    """Number the classes from 0 in sorted order, so that gaps close.

    No label passes through a floating-point number: above 2⁵³ neighbours would become one.

    Args:
        labels: One whole number (0 or more, of any integer type) or one string for each example.
        count: Number of examples.
        what: Name of the array in error messages.
        classes: Classes already known; a label outside them is refused.
        examples: What is labelled, in error messages.

    Returns:
        Index of each label's class, `(count,)`, and the classes as they were given, sorted.

    Raises:
        NearfarError: If there is not one label for each example, or a label is missing, negative, a
            fraction, of another kind than the rest, or of no known class.
    """
    values = label_values(labels, what)
    if values.ndim != 1 or len(values) != count:
        raise NearfarError(
            f"{what}: shape {values.shape} for {count} {examples}; give one label for each, "
            f"shape ({count},)"
        )
    text = values.dtype == object
    if text:
        present: list = sorted(set(values.tolist()))
        numbers = {value: number for number, value in enumerate(present)}
        places = np.array([numbers[value] for value in values], dtype=np.int64)
    else:
        unique, places = np.unique(values, return_inverse=True)
        present = unique.tolist()
    if present and not text and present[0] < 0:
        raise NearfarError(
            f"{what}: {int((values < 0).sum())} of {count} are negative (such as {present[0]}); "
            "labels are whole numbers from 0: where these are classes, name them by strings"
        )
    known = present if classes is None else list(classes)
    if known and isinstance(known[0], str) != text:
        kinds = ("text", "whole numbers") if text else ("whole numbers", "text")
        raise NearfarError(f"{what}: {kinds[0]}, where classes are {kinds[1]}; give both alike")
    index = {value: number for number, value in enumerate(known)}
    strange = [value for value in present if value not in index]
    if strange:
        raise NearfarError(
            f"{what}: class {strange[0]!s} is not among the {len(known)} classes of the training "
            "labels; a class must have training examples"
        )
    encoded = np.array([index[value] for value in present], dtype=np.int64)[places]
    return torch.from_numpy(encoded), known


def label_values(labels: ArrayLike, what: str) -> np.ndarray:
    """Labels as an array of whole numbers or truth values, or of strings as objects.

    Args:
        labels: An array, list, tensor, or column of pandas.
        what: Names them in messages.

    Raises:
        NearfarError: Labels are masked, missing, fractions, too large for 64 bits, or of several
            kinds.
    """
    values = as_array(labels, what, advice="give one label for each example")
    if isinstance(labels, list | tuple) and values.ndim == 1 and values.dtype.kind in "fUO":
        # NumPy makes 2⁶³ beside 1 a float, and 1 beside "a" a string.
        values = np.empty(len(labels), dtype=object)
        values[:] = labels
    if values.dtype.kind in "biu" or values.ndim != 1:
        return values
    if values.dtype.kind in "UTO":
        return _of_one_kind(values.astype(object), what)
    _refuse_missing([value for value in values if is_missing(value)], len(values), what)
    raise _no_labels(str(values.dtype), what)


def _of_one_kind(values: np.ndarray, what: str) -> np.ndarray:
    """Objects that are all strings, as they are; all whole numbers, in a type that holds them."""
    if all(isinstance(value, str) for value in values):
        return values
    if all(isinstance(value, bool | np.bool) for value in values):
        return values.astype(bool)
    if all(isinstance(value, int | np.integer) for value in values):
        # From Python's own numbers: of NumPy's, two types could meet in a float.
        whole = [int(value) for value in values]
        for kind in (np.int64, np.uint64):
            if np.iinfo(kind).min <= min(whole) and max(whole) <= np.iinfo(kind).max:
                return np.array(whole, dtype=kind)
        raise NearfarError(
            f"{what}: whole numbers from {min(whole)} to {max(whole)} do not fit into 64 bits; "
            "number the classes from 0"
        )
    _refuse_missing([value for value in values if is_missing(value)], len(values), what)
    raise _no_labels(" and ".join(sorted({type(value).__name__ for value in values})), what)


def _refuse_missing(missing: list, count: int, what: str) -> None:
    """Say how many labels there are not."""
    if missing:
        raise NearfarError(
            f"{what}: {len(missing)} of {count} are missing ({missing[0]}); leave out examples "
            "without a label"
        )


def is_missing(value: object) -> bool:
    """None, NaN, or what stands for it in pandas."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _no_labels(kind: str, what: str) -> NearfarError:
    """What says which labels there are."""
    return NearfarError(
        f"{what}: {kind} values; labels are all whole numbers from 0 (or all strings): convert "
        "them with .astype(int)"
    )


def class_counts(part: Part, num_classes: int) -> Int64[Tensor, " classes"]:
    """How many examples of a part bear the label of each class.

    Of the part that a method learns from, these are the exact class sizes that balanced softmax
    and PaCo weigh by: label noise and long tails are in them.

    Args:
        part: With labels.
        num_classes: Classes, `Source.num_classes`; one that no example bears has 0.

    Raises:
        NearfarError: The part has no labels.
    """
    if part.labels is None:
        raise NearfarError("class sizes need labels, and the part to learn from has none")
    return torch.bincount(part.labels, minlength=num_classes)
