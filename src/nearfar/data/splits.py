"""A test part for sources that come without one: stratified and always the same."""

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from nearfar.data.source import Part, choose

SPLIT_SEED = 0
"""Seed of every split, fixed: the test part must not change from run to run."""


def split_with_note(
    part: Part, test_fraction: float, *, missing: str, examples: str
) -> tuple[Part, Part | None, list[str]]:
    """Hold out a test part as `split_part` does, and say so.

    Args:
        part: As `split_part` takes it.
        test_fraction: Share to hold out; 0 holds out none.
        missing: Why a part is held out, for the note.
        examples: What the part holds, for the note.

    Returns:
        What is left to learn from, the test part or None, and a note where there is one.
    """
    train, test = split_part(part, test_fraction)
    if test is None:
        return train, None, []
    note = (
        f"{missing}: {len(test)} of {len(part)} {examples} are held out for test "
        f"(seed {SPLIT_SEED})"
    )
    return train, test, [note]


def split_part(part: Part, test_fraction: float) -> tuple[Part, Part | None]:
    """Hold out a test part, stratified where there are labels and always the same.

    Args:
        part: Examples in memory or in files, labels or None, names or None.
        test_fraction: Share to hold out; 0 holds out none.

    Returns:
        What is left to learn from, and the test part or None.
    """
    labels = None if part.labels is None else part.labels.numpy()
    kept, held_out = stratified_split(len(part), labels, test_fraction)
    if not len(held_out):
        return part, None
    return _take(part, kept), _take(part, held_out)


def stratified_split(
    count: int, labels: Int64[ndarray, " n"] | None, test_fraction: float
) -> tuple[Int64[ndarray, " train"], Int64[ndarray, " test"]]:
    """Choose the examples held out for test, in proportion from every class.

    Every class keeps at least one example to learn from, and gives at least one for test where it
    has two or more, so small classes deviate from the fraction.

    Args:
        count: Number of examples.
        labels: Class of each example, or None to draw from all alike.
        test_fraction: Share to hold out, 0 up to but not including 1; 0 holds out none.

    Returns:
        Indices of the training and of the test examples, each ascending.
    """
    if test_fraction == 0:
        return np.arange(count), np.arange(0)
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    random = np.random.RandomState(SPLIT_SEED)
    groups = [np.arange(count)] if labels is None else _members(labels)
    test = np.zeros(count, dtype=bool)
    for members in groups:
        held_out = round(len(members) * test_fraction)
        held_out = min(max(held_out, 1), len(members) - 1)
        test[random.permutation(members)[:held_out]] = True
    return np.flatnonzero(~test), np.flatnonzero(test)


def _members(labels: Int64[ndarray, " n"]) -> list[Int64[ndarray, " members"]]:
    """Indices of the examples of each class."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _take(part: Part, indices: ndarray) -> Part:
    """The chosen examples of a part."""
    return choose(part, torch.from_numpy(indices))
