"""Triplets: given, with the hardest rows of the batch, and with semi-hard negatives."""

import math

from nearfar.objectives import batch_hard_triplet, semi_hard_triplet, triplet
from nearfar.testing import ObjectiveCase, labelled, views

from .loops import mean, unit_rows


def slow_triplet(anchors, positives, negatives, margin):
    rows = (unit_rows(views) for views in (anchors, positives, negatives))
    return mean(
        [
            max(0.0, math.dist(a, p) ** 2 - math.dist(a, n) ** 2 + margin)
            for a, p, n in zip(*rows, strict=True)
        ]
    )


def distances(embeddings, labels):
    """Each anchor's squared distances to its label's other rows, and to other labels' rows."""
    rows, labels = unit_rows(embeddings), labels.tolist()
    for i, anchor in enumerate(rows):
        to = [(j, math.dist(anchor, row) ** 2) for j, row in enumerate(rows)]
        yield (
            [far for j, far in to if j != i and labels[j] == labels[i]],
            [far for j, far in to if labels[j] != labels[i]],
        )


def slow_batch_hard(embeddings, labels, margin):
    return mean(
        [
            max(0.0, max(positives) - min(negatives) + margin)
            for positives, negatives in distances(embeddings, labels)
            if positives and negatives
        ]
    )


def slow_semi_hard(embeddings, labels, margin):
    losses = []
    for positives, negatives in distances(embeddings, labels):
        for positive in positives:
            farther = [far for far in negatives if far > positive]
            chosen = min(farther) if farther else max(negatives)
            losses.append(max(0.0, positive - chosen + margin))
    return mean(losses)


def two_classes(batch, dim, seed):
    """Rows of two classes or more; not on a line, where a unit row has but two places."""
    return labelled(batch, max(dim, 2), seed, fewest=2)


CASES = [
    ObjectiveCase(
        "triplet",
        triplet,
        slow_triplet,
        views(3),
        settings={"margin": 0.7},
        rotated=(0, 1, 2),
        scaled=(0, 1, 2),
        smallest_batch=1,
    ),
    *(
        ObjectiveCase(
            objective.__name__,
            objective,
            slow,
            two_classes,
            settings={"margin": 0.7},
            rotated=(0,),
            scaled=(0,),
            smallest_batch=3,
            too_small="two rows of one label, and all 2 labels",
            # What is sorted at once is bounded, but large: a test of its own lowers that bound.
            linear_memory=objective is batch_hard_triplet,
        )
        for objective, slow in (
            (batch_hard_triplet, slow_batch_hard),
            (semi_hard_triplet, slow_semi_hard),
        )
    ),
]
