"""Balanced softmax."""

import math

import torch

from nearfar.objectives import balanced_softmax
from nearfar.testing import ObjectiveCase

from .loops import mean


def slow_balanced_softmax(logits, labels, class_counts):
    counts = class_counts.tolist()
    losses = []
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        weighted = [count * math.exp(logit) for count, logit in zip(counts, row, strict=True)]
        losses.append(-math.log(weighted[label] / math.fsum(weighted)))
    return mean(losses)


def counted_classes(batch, classes, seed):
    """Labels and counts of classes that agree; some classes have no example."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (batch,), generator=generator)
    counts = torch.randint(0, 40, (classes,), generator=generator)
    # Whatever labels a test leaves of the batch, their classes have examples.
    counts[::2] = 0
    counts[labels] += 3
    return labels, counts


def classified(batch, dim, seed):
    labels, counts = counted_classes(batch, dim + 1, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    logits = 3 * torch.randn(batch, dim + 1, generator=generator, dtype=torch.float64)
    return logits, labels, counts


CASES = [
    ObjectiveCase(
        "balanced_softmax",
        balanced_softmax,
        slow_balanced_softmax,
        classified,
        common=(2,),
        unbounded=(0,),
        smallest_batch=1,
    )
]
