"""Examples without a label beside those with one: which they are, and the part that they make."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy import ndarray
from numpy.typing import ArrayLike
from torch import Tensor

from nearfar.data.array_likes import as_array
from nearfar.data.labels import is_missing
from nearfar.data.source import Part, choose
from nearfar.errors import NearfarError

_EXACT = 2**53
"""Below it float64 tells every whole number from the next."""


@dataclass(frozen=True)
class Apart:
    """Examples told apart by whether they have a label.

    Attributes:
        labelled: Those that have one.
        unlabelled: The others, or None where there are none.
        order: `(n,)`, the place that each of the first and then of the others had among all; None
            where all have a label.
    """

    labelled: Part
    unlabelled: Part | None
    order: Int64[Tensor, " n"] | None


def labels_there(
    labels: ArrayLike, count: int, what: str, *, minus_one: bool
) -> tuple[ArrayLike, Bool[ndarray, " n"] | None]:
    """Which examples have a label, and the labels of these.

    There is none where an array or list has None, NaN or what stands for it in pandas, or a string
    without a character but spaces. Where there is no such gap, −1 among whole numbers is none, as
    in scikit-learn. Floats are taken for whole numbers only where NaN, which makes them floats, is
    among them.

    Args:
        labels: A label or none for each example.
        count: Number of examples.
        what: Names them in messages.
        minus_one: Whether −1 may be none: in arrays, for whole numbers have no gap.

    Returns:
        The labels that are there, and for each example whether it has one. Where all have one, or
        the shape is not `(count,)`, the labels as they were given, and None.

    Raises:
        NearfarError: −1 and 1 are all that there is, which may be two classes.
    """
    values = as_array(labels, what, advice="give one label for each example")
    if values.shape != (count,):
        return labels, None
    if isinstance(labels, list | tuple) and values.dtype.kind in "fUO":
        # NumPy makes 2⁶³ beside 1 a float, and 1 beside "a" a string.
        values = np.empty(len(labels), dtype=object)
        values[:] = labels
    there = _there(values)
    if not there.all():
        return _whole_again(values[there]), there
    if minus_one and _are_whole(values):
        none = np.asarray(values == -1, dtype=bool)
        if none.any() and not none.all() and bool((values[~none] == 1).all()):
            raise NearfarError(
                f"{what}: -1 and 1 are all that there is, and -1 means no label: number two "
                "classes 0 and 1"
            )
        if none.any():
            return values[~none], ~none
    return labels, None


def _there(values: ndarray) -> Bool[ndarray, " n"]:
    """Where a value is no gap."""
    if values.dtype.kind == "f":
        return ~np.isnan(values)
    if values.dtype.kind not in "OUT":
        return np.ones(len(values), dtype=bool)
    return np.array([not (is_missing(each) or _is_blank(each)) for each in values], dtype=bool)


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _whole_again(values: ndarray) -> ndarray:
    """Floats that are all whole as whole numbers: a gap had made them floats."""
    floats = values.dtype.kind == "f" or (
        values.dtype == object and all(isinstance(each, float | np.floating) for each in values)
    )
    if not floats or not len(values):
        return values
    numbers = values.astype(np.float64)
    exact = bool((np.abs(numbers) < _EXACT).all()) and not (numbers % 1).any()
    return numbers.astype(np.int64) if exact else values


def _are_whole(values: ndarray) -> bool:
    """Whether these are whole numbers, and no truth values."""
    if values.dtype != object:
        return values.dtype.kind in "iu"
    return all(isinstance(each, int | np.integer) and not isinstance(each, bool) for each in values)


def told_apart(whole: Part, there: Bool[ndarray, " n"] | None) -> Apart:
    """The examples with a label and those without, each in their order.

    Args:
        whole: All of them.
        there: Whether each has a label; None where all have. One has, at least.
    """
    if there is None:
        return Apart(whole, None, None)
    rows = torch.from_numpy(there)
    with_label, without = rows.nonzero().squeeze(1), (~rows).nonzero().squeeze(1)
    return Apart(
        choose(whole, with_label), choose(whole, without), torch.cat([with_label, without])
    )


def tell_nothing(there: Bool[ndarray, " n"] | None, labels: Int64[Tensor, " m"]) -> bool:
    """Whether labels are missing, and those that are not are of one class at most.

    Args:
        there: Whether each example has one; None where all have.
        labels: Of those that have one.
    """
    return there is not None and len(labels.unique()) < 2


def told_of(
    there: Bool[ndarray, " n"] | None, labels: Int64[Tensor, " m"], examples: str
) -> list[str]:
    """What a person should know of training examples without a label.

    Args:
        there: Whether each has one; None where all have.
        labels: Of those that have one.
        examples: What they are.
    """
    if there is None:
        return []
    count, missing = len(there), int((~there).sum())
    if missing == count:
        return [f"not one of {count:,} {examples} has a label: they are data without labels"]
    if tell_nothing(there, labels):
        return [
            f"{count - missing:,} of {count:,} {examples} have a label, all of one class, which "
            "tells nothing apart: they are read as data without labels"
        ]
    return [
        f"{missing:,} of {count:,} {examples} have no label: methods that learn without labels "
        "learn from these too (data.train_part), and nothing is judged by them"
    ]


def told_of_test(there: Bool[ndarray, " n"] | None, examples: str) -> list[str]:
    """The same of test examples, which are left out where they have no label.

    Args:
        there: Whether each has one; None where all have.
        examples: What they are.
    """
    if there is None:
        return []
    return [
        f"left out {int((~there).sum()):,} of {len(there):,} test {examples} without a label: "
        "neither learnt from nor judged by"
    ]


def nothing_there(there: Bool[ndarray, " n"] | None) -> bool:
    """Whether not one example has a label."""
    return there is not None and not there.any()
