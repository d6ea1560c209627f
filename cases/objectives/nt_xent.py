"""NT-Xent."""

import math

import torch

from nearfar.objectives import nt_xent
from nearfar.testing import ObjectiveCase, views, views_and_labels

from .loops import dot, log_sum_exp, mean, unit_rows


def slow_nt_xent(first, second, labels=None, *, temperature, rescale=False):
    rows = unit_rows(torch.cat((first, second)))
    batch = len(first)
    classes = None if labels is None else labels.tolist() * 2
    losses = []
    for i, anchor in enumerate(rows):
        positive = dot(anchor, rows[(i + batch) % len(rows)]) / temperature
        negatives = [
            dot(anchor, row) / temperature
            for j, row in enumerate(rows)
            if j % batch != i % batch and (classes is None or classes[j] != classes[i])
        ]
        factor = (2 * batch - 2) / len(negatives) if rescale else 1.0
        losses.append(
            log_sum_exp([positive, *(value + math.log(factor) for value in negatives)]) - positive
        )
    return mean(losses)


def dropping(first, second, labels, **settings):
    return nt_xent(first, second, labels=labels, **settings)


CASES = [
    ObjectiveCase(
        "nt_xent",
        nt_xent,
        slow_nt_xent,
        views(2),
        settings={"temperature": 0.5},
        sharp={"temperature": 0.01},
        rotated=(0, 1),
        scaled=(0, 1),
    ),
    *(
        ObjectiveCase(
            f"nt_xent without false negatives{', rescaled' if rescale else ''}",
            dropping,
            slow_nt_xent,
            views_and_labels(2),
            settings={"temperature": 0.5, "rescale": rescale},
            sharp={"temperature": 0.01, "rescale": rescale},
            rotated=(0, 1),
            scaled=(0, 1),
        )
        for rescale in (False, True)
    ),
]
