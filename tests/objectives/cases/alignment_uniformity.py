"""Alignment and uniformity."""

import math

from nearfar.objectives import alignment, uniformity

from .case import Case
from .drawn import rows, views
from .loops import mean, unit_rows


def slow_alignment(first, second, alpha):
    pairs = zip(unit_rows(first), unit_rows(second), strict=True)
    return mean([math.dist(x, y) ** alpha for x, y in pairs])


def slow_uniformity(embeddings, t):
    points = unit_rows(embeddings)
    potentials = [
        math.exp(-t * math.dist(x, y) ** 2)
        for i, x in enumerate(points)
        for j, y in enumerate(points)
        if i != j
    ]
    return math.log(mean(potentials))


CASES = [
    Case(
        "alignment",
        alignment,
        slow_alignment,
        views(2),
        settings={"alpha": 3.0},
        rotated=(0, 1),
        scaled=(0, 1),
        smallest_batch=1,
    ),
    Case(
        "uniformity",
        uniformity,
        slow_uniformity,
        rows,
        settings={"t": 2.0},
        sharp={"t": 50.0},
        rotated=(0,),
        scaled=(0,),
    ),
]
