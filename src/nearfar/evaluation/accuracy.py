"""Accuracies from scores: over all test examples, and over classes of many, medium and few."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.evaluation.forms import Transform, is_too_large_to_whiten, transforms
from nearfar.evaluation.records import FEATURE_NAMES, FeatureKind, Record

TOPS = {"top1": 1, "top5": 5}
Shots = Literal["many", "medium", "few"]
MANY_ABOVE = 100
"""Training examples above which a class is of the many-shot classes."""
FEW_BELOW = 20
"""Training examples below which a class is of the few-shot classes."""
IMBALANCE = 2
"""Times the smallest class that the largest one is, at least, where sizes are told apart."""


@dataclass(frozen=True)
class ShotGroup:
    """The classes of about one size.

    Attributes:
        shots: Which size.
        classes: Number of classes.
        test: `(m,)`, which test examples are of these classes; at least one is.
    """

    shots: Shots
    classes: int
    test: Bool[Tensor, " m"]

    @property
    def parameters(self) -> dict[str, Any]:
        """What a record of this group says of it."""
        return {"shots": self.shots, "classes": self.classes}


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of both parts, with labels.

    Attributes:
        kind: Of what.
        train: `(n, dim)` features of the training images, and `train_labels` their classes.
        test: `(m, dim)` features of the test images, and `test_labels` their classes.
        num_classes: Number of classes.
        groups: Classes of many, of medium and of few training images, where sizes differ.
    """

    kind: FeatureKind
    train: Float[Tensor, "n dim"]
    train_labels: Int64[Tensor, " n"]
    test: Float[Tensor, "m dim"]
    test_labels: Int64[Tensor, " m"]
    num_classes: int
    groups: tuple[ShotGroup, ...] = ()

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """The forms that the features may be judged in, fitted on the training features."""
        return transforms(self.train)


def score_records(
    protocol: str,
    data: LabelledFeatures,
    scores: Float[Tensor, "m classes"],
    parameters: dict[str, Any],
) -> list[Record]:
    """Top-1 and top-5 over all test images, and top-1 of many-, medium- and few-shot classes.

    Args:
        protocol: Name of the measure.
        data: Features and labels.
        scores: Of every class for every test image, above 0 where it is predicted at all.
        parameters: What the records say of how they were measured.
    """
    records = [
        Record(
            protocol,
            data.kind,
            metric,
            top_accuracy(scores, data.test_labels, top),
            len(data.test),
            parameters=parameters,
        )
        for metric, top in TOPS.items()
    ]
    right = hits(scores, data.test_labels, 1)
    for group in data.groups:
        value, count = float(right[group.test].double().mean()), int(group.test.sum())
        told = {**parameters, **group.parameters}
        records.append(Record(protocol, data.kind, "top1", value, count, parameters=told))
    return records


def notes_on_forms(data: LabelledFeatures) -> list[str]:
    """Which forms the features of one kind are not offered, for what they cost."""
    if not is_too_large_to_whiten(data.train):
        return []
    count, dim = data.train.shape
    return [
        f"{FEATURE_NAMES[data.kind]}: never whitened, for the axes of {dim:,} features of {count:,}"
        " examples take too long to find"
    ]


def shot_groups(
    class_counts: Int64[Tensor, " classes"], test_labels: Int64[Tensor, " m"]
) -> tuple[ShotGroup, ...]:
    """Classes of more than 100, of 20 to 100 and of fewer than 20 training examples.

    A group without test examples is left out, and so is a class without training examples: no
    protocol can know it. There are no groups where sizes tell nothing: where the largest class is
    less than twice as large as the smallest, or all are in one group.

    Args:
        class_counts: Training examples of each class.
        test_labels: Class of each test example.

    Returns:
        Many, medium and few, as far as there are any; none or two and more.
    """
    present = class_counts[class_counts > 0]
    if len(present) == 0 or int(present.max()) < IMBALANCE * int(present.min()):
        return ()
    many, few = class_counts > MANY_ABOVE, (class_counts > 0) & (class_counts < FEW_BELOW)
    medium = (class_counts > 0) & ~many & ~few
    members: dict[Shots, Bool[Tensor, " classes"]] = {"many": many, "medium": medium, "few": few}
    groups = tuple(
        ShotGroup(shots, int(group.sum()), group[test_labels])
        for shots, group in members.items()
        if bool(group[test_labels].any())
    )
    return groups if len(groups) > 1 else ()


def class_accuracies(
    predictions: Int64[Tensor, " m"], test_labels: Int64[Tensor, " m"], classes: int
) -> Tensor:
    """Share of right predictions for each class; NaN for a class without test examples."""
    right = torch.bincount(test_labels[predictions == test_labels], minlength=classes)
    return right / torch.bincount(test_labels, minlength=classes)


def hits(
    scores: Float[Tensor, "m classes"], labels: Int64[Tensor, " m"], k: int
) -> Bool[Tensor, " m"]:
    """Of which examples the class is among the k highest scores.

    Equal scores rank by class number. With a vote, a class that got none (score 0) is never
    counted as predicted, even where fewer than k classes got one.

    Args:
        scores: Above 0 for a class that is predicted at all.
        labels: The true classes, each below the number of columns.
        k: 1 for top-1; at most the number of classes is used.
    """
    ranked = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    own = scores.gather(1, labels.unsqueeze(1)).squeeze(1)
    return (ranked == labels.unsqueeze(1)).any(dim=1) & (own > 0)


def top_accuracy(scores: Float[Tensor, "m classes"], labels: Int64[Tensor, " m"], k: int) -> float:
    """Share of examples whose class is among the k highest scores, as in `hits`.

    Args:
        scores: Above 0 for a class that is predicted at all.
        labels: The true classes, each below the number of columns.
        k: 1 for top-1; at most the number of classes is used.
    """
    return float(hits(scores, labels, k).double().mean())
