"""NT-Xent."""

import torch

from nearfar.objectives import nt_xent

from .case import Case
from .drawn import views
from .loops import dot, log_sum_exp, mean, unit_rows


def slow_nt_xent(first, second, temperature):
    rows = unit_rows(torch.cat((first, second)))
    batch = len(first)
    losses = []
    for i, anchor in enumerate(rows):
        candidates = [dot(anchor, row) / temperature for j, row in enumerate(rows) if j != i]
        positive = dot(anchor, rows[(i + batch) % len(rows)]) / temperature
        losses.append(log_sum_exp(candidates) - positive)
    return mean(losses)


CASES = [
    Case(
        "nt_xent",
        nt_xent,
        slow_nt_xent,
        views(2),
        settings={"temperature": 0.5},
        sharp={"temperature": 0.01},
        rotated=(0, 1),
        scaled=(0, 1),
    )
]
