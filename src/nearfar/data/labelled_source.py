"""A source from parts and arrays of their labels, of which some may be missing."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from numpy.typing import ArrayLike

from nearfar.data.labels import encode_labels
from nearfar.data.missing_labels import (
    labels_there,
    nothing_there,
    tell_nothing,
    told_apart,
    told_of,
    told_of_test,
)
from nearfar.data.source import Part, Source
from nearfar.data.splits import split_with_note
from nearfar.errors import NearfarError
from nearfar.modality import in_words


def with_labels(
    name: str,
    train: Part,
    test: Part | None,
    labels: ArrayLike | None,
    test_labels: ArrayLike | None,
    test_fraction: float,
    *,
    called: str,
    examples: str | None = None,
    classes: Sequence | None = None,
    minus_one: bool = True,
) -> Source:
    """The source of two parts and of arrays of their labels, of which some may be missing.

    Training examples without a label become the unlabelled part, and test examples without one are
    left out. A test part that is held out is one of labelled examples, where there are such. Where
    the labels that are there are of one class, which tells nothing apart, there are none.

    Args:
        name: What to call the source.
        train: Without labels.
        test: Without labels; None: some of the training examples are held out.
        labels: Of the training examples, or None.
        test_labels: Of the test examples; needed where both others are given.
        test_fraction: Share to hold out.
        called: The array of the training examples, for messages.
        examples: What these are, for notes; `called` where left out.
        classes: All that there are, where some may be of test examples alone.
        minus_one: Whether a label of −1 is none.
    """
    examples = examples or called
    known: list | None = None
    unlabelled, order = None, None
    notes: list[str] = []
    if labels is not None:
        values, there = labels_there(labels, len(train), "labels", minus_one=minus_one)
        encoded = torch.arange(0)
        if not nothing_there(there):
            count = len(train) if there is None else int(there.sum())
            encoded, known = encode_labels(values, count, classes=classes, examples=examples)
        notes += told_of(there, encoded, examples)
        if tell_nothing(there, encoded):
            known, test_labels = None, None
        else:
            apart = told_apart(train, there)
            train, unlabelled = replace(apart.labelled, labels=encoded), apart.unlabelled
            order = apart.order
            notes += _told_of_gaps(known)
    missing = f"no test_{called} given" if examples != called else f"no test {called} given"
    if test is not None:
        test, told = _given_test_part(train, known, test, test_labels, called, minus_one)
        notes += told
        missing = f"no label in test_{called}"
    elif test_labels is not None:
        raise NearfarError(f"test_labels without test_{called}: give both or neither")
    if test is None:
        some = examples if unlabelled is None else f"labelled {examples}"
        train, test, note = split_with_note(train, test_fraction, missing=missing, examples=some)
        notes += note
        order = order if test is None else None
    class_names = None if known is None else tuple(str(value) for value in known)
    return Source(name, train, test, unlabelled, class_names, tuple(notes), order=order)


def _told_of_gaps(classes: list | None) -> list[str]:
    """That numbers of classes are not those of the labels."""
    if not classes or isinstance(classes[0], str) or classes == list(range(len(classes))):
        return []
    return [
        f"the {len(classes)} labels from {classes[0]} to {classes[-1]} have gaps: "
        f"classes are numbered 0 to {len(classes) - 1} in the same order"
    ]


def _given_test_part(
    train: Part,
    classes: list | None,
    test: Part,
    labels: ArrayLike | None,
    called: str,
    minus_one: bool,
) -> tuple[Part | None, list[str]]:
    """The test part as given, if it fits the training part, and what was left out of it.

    None where not one of it has a label, and training examples have.
    """
    if test.example_shape != train.example_shape:
        what = train.modality
        raise NearfarError(
            f"test_{called} holds {in_words(what, test.example_shape)}, and {called} holds "
            f"{in_words(what, train.example_shape)}; both must be alike"
        )
    if (labels is None) != (classes is None):
        missing, given = ("test_labels", "labels") if labels is None else ("labels", "test_labels")
        raise NearfarError(f"{given} without {missing}: give both or neither")
    if labels is None:
        return test, []
    values, there = labels_there(labels, len(test), "test_labels", minus_one=minus_one)
    told = told_of_test(there, called)
    if nothing_there(there):
        return None, told
    test = told_apart(test, there).labelled
    encoded, _ = encode_labels(
        values, len(test), what="test_labels", classes=classes, examples=f"test {called}"
    )
    return replace(test, labels=encoded), told
