"""What methods with labels ask of the classes, and the linear classifier over them."""

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_labels

NEVER_PREDICTED = -1e4
"""Bias of a class that has no example: finite, so that files and averages can hold it."""


def require_labels_of(
    batch: Tensor, labels: Tensor | None, title: str, classes: int | None = None
) -> Tensor:
    """The labels of a batch, as many as it has rows.

    Args:
        batch: One row an example.
        labels: What was passed.
        title: Of the method, for errors.
        classes: The number of classes, or None where it may be any.

    Raises:
        NearfarError: There are none, or fewer or more, or they are no class numbers.
    """
    if labels is None or labels.shape != batch.shape[:1]:
        found = "none" if labels is None else f"labels of shape {tuple(labels.shape)}"
        raise NearfarError(f"{title} needs a label for each of {len(batch)} examples, not {found}")
    require_labels(labels, len(batch), classes=classes)
    return labels.long()


def build_classifier(num_features: int, class_counts: Int64[Tensor, " classes"]) -> nn.Linear:
    """A linear layer with bias from features to one logit a class.

    A class without an example starts, and without a gradient stays, where it is never predicted:
    zero weight and a bias of `NEVER_PREDICTED`. A random row that nothing ever pushes down would
    win some predictions.
    """
    classifier = nn.Linear(num_features, len(class_counts))
    with torch.no_grad():
        classifier.weight[class_counts == 0] = 0
        classifier.bias[class_counts == 0] = NEVER_PREDICTED
    return classifier
