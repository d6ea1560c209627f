"""Labels as the rest of nearfar needs them: int64, from 0, without gaps."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import ArrayLike
from torch import Tensor

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

    Args:
        labels: One whole number (0 or more) or one string for each example.
        count: Number of examples.
        what: Name of the array in error messages.
        classes: Classes already known; a label outside them is refused.
        examples: What is labelled, in error messages.

    Returns:
        Index of each label's class, `(count,)`, and the classes as they were given, sorted.

    Raises:
        NearfarError: If there is not one label for each example, or a label is negative, a
            fraction, or of no known class.
    """
    values = np.asarray(labels)
    if values.ndim != 1 or len(values) != count:
        raise NearfarError(
            f"{what}: shape {values.shape} for {count} {examples}; give one label for each, "
            f"shape ({count},)"
        )
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind not in "biuU":
        raise NearfarError(
            f"{what}: {values.dtype} values; labels are whole numbers from 0 (or strings): "
            "convert them with .astype(int)"
        )
    if values.dtype.kind == "i" and values.min(initial=0) < 0:
        raise NearfarError(
            f"{what}: {int((values < 0).sum())} of {count} are negative (such as {values.min()}); "
            f"labels are whole numbers from 0: leave out {examples} without a label"
        )
    known = np.unique(values) if classes is None else np.asarray(classes)
    if (known.dtype.kind == "U") != (values.dtype.kind == "U"):
        raise NearfarError(f"{what}: {values.dtype} values, where classes are {known.dtype} values")
    strange = np.setdiff1d(values, known)
    if len(strange):
        raise NearfarError(
            f"{what}: class {strange[0]!s} is not among the {len(known)} classes of the training "
            "labels; a class must have training examples"
        )
    encoded = np.searchsorted(known, values).astype(np.int64)
    return torch.from_numpy(encoded), known.tolist()


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
