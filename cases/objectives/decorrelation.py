"""VICReg and Barlow Twins."""

import math

from nearfar.objectives import barlow_twins, vicreg
from nearfar.testing import ObjectiveCase, views

from .loops import mean, raw_rows


def columns(view):
    """The dimensions of raw rows, each with mean 0."""
    found = [list(column) for column in zip(*raw_rows(view), strict=True)]
    return [[value - mean(column) for value in column] for column in found]


def product(first, second):
    return math.fsum(x * y for x, y in zip(first, second, strict=True))


def slow_vicreg(first, second, similarity_weight, variance_weight, covariance_weight):
    batch, dim = first.shape
    pairs = zip(raw_rows(first), raw_rows(second), strict=True)
    total = similarity_weight * mean([math.dist(x, y) ** 2 for x, y in pairs]) / dim
    for view in (first, second):
        dims = columns(view)
        variances = [product(x, x) / (batch - 1) for x in dims]
        hinges = [max(0.0, 1 - math.sqrt(variance + 1e-4)) for variance in variances]
        squares = [
            (product(x, y) / (batch - 1)) ** 2
            for i, x in enumerate(dims)
            for j, y in enumerate(dims)
            if i != j
        ]
        total += variance_weight * mean(hinges) + covariance_weight * math.fsum(squares) / dim
    return total


def slow_barlow_twins(first, second, off_diagonal_weight):
    batch = len(first)
    total = 0.0
    for i, x in enumerate(columns(first)):
        for j, y in enumerate(columns(second)):
            deviations = [math.sqrt(product(v, v) / batch + 1e-5) for v in (x, y)]
            correlation = product(x, y) / batch / math.prod(deviations)
            total += (1 - correlation) ** 2 if i == j else off_diagonal_weight * correlation**2
    return total


CASES = [
    ObjectiveCase(
        "vicreg",
        vicreg,
        slow_vicreg,
        views(2),
        settings={"similarity_weight": 3.0, "variance_weight": 2.0, "covariance_weight": 0.5},
    ),
    ObjectiveCase(
        "barlow_twins",
        barlow_twins,
        slow_barlow_twins,
        views(2),
        settings={"off_diagonal_weight": 0.3},
    ),
]
