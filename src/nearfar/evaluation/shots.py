"""Classes by the number of their training examples: many, medium and few (Liu et al. 2019)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

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
    """Share of right predictions for each class; NaN for a class without test examples.

    Args:
        predictions: Predicted class of each test example.
        test_labels: True class of each.
        classes: Number of classes.
    """
    right = torch.bincount(test_labels[predictions == test_labels], minlength=classes)
    return right / torch.bincount(test_labels, minlength=classes)
