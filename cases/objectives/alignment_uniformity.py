"""Alignment and uniformity."""

import math

from nearfar.objectives import align_uniform, alignment, contrast_align_uniform, uniformity
from nearfar.testing import ObjectiveCase, rows, views

from .loops import mean, unit_rows
from .nt_xent import slow_nt_xent


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


def slow_align_uniform(first, second, align_weight, uniform_weight, alpha, t):
    spread = (slow_uniformity(first, t) + slow_uniformity(second, t)) / 2
    return align_weight * slow_alignment(first, second, alpha) + uniform_weight * spread


def slow_contrast_align_uniform(first, second, contrast_weight, temperature, **others):
    contrast = slow_nt_xent(first, second, temperature=temperature)
    return contrast_weight * contrast + slow_align_uniform(first, second, **others)


CASES = [
    ObjectiveCase(
        "alignment",
        alignment,
        slow_alignment,
        views(2),
        settings={"alpha": 3.0},
        rotated=(0, 1),
        scaled=(0, 1),
        smallest_batch=1,
        too_small="needs one or more, not 0",
    ),
    ObjectiveCase(
        "uniformity",
        uniformity,
        slow_uniformity,
        rows,
        settings={"t": 2.0},
        sharp={"t": 50.0},
        rotated=(0,),
        scaled=(0,),
    ),
    ObjectiveCase(
        "align_uniform",
        align_uniform,
        slow_align_uniform,
        views(2),
        settings={"align_weight": 0.75, "uniform_weight": 0.5, "alpha": 2.0, "t": 3.0},
        sharp={"align_weight": 1.0, "uniform_weight": 1.0, "alpha": 2.0, "t": 50.0},
        rotated=(0, 1),
        scaled=(0, 1),
    ),
    ObjectiveCase(
        "contrast_align_uniform",
        contrast_align_uniform,
        slow_contrast_align_uniform,
        views(2),
        settings={
            "contrast_weight": 0.6,
            "align_weight": 0.75,
            "uniform_weight": 0.5,
            "temperature": 0.4,
            "alpha": 2.0,
            "t": 3.0,
        },
        sharp={
            "contrast_weight": 1.0,
            "align_weight": 1.0,
            "uniform_weight": 1.0,
            "temperature": 0.01,
            "alpha": 2.0,
            "t": 50.0,
        },
        rotated=(0, 1),
        scaled=(0, 1),
    ),
]
