"""The sigmoid loss."""

import math

from nearfar.objectives import sigmoid
from nearfar.testing import ObjectiveCase, views_and

from .loops import dot, unit_rows


def with_scale_and_bias(first, second, scale, bias, times):
    return sigmoid(first, second, scale=scale * times, bias=bias)


def slow_sigmoid(first, second, scale, bias, times):
    second, scale = unit_rows(second), times * float(scale)
    terms = []
    for i, x in enumerate(unit_rows(first)):
        for j, y in enumerate(second):
            belongs = 1 if i == j else -1
            terms.append(math.log1p(math.exp(-belongs * (scale * dot(x, y) + float(bias)))))
    return math.fsum(terms) / len(second)


CASES = [
    ObjectiveCase(
        "sigmoid",
        with_scale_and_bias,
        slow_sigmoid,
        views_and(10.0, -4.0),
        settings={"times": 1.0},
        sharp={"times": 10.0},
        common=(2, 3),
        rotated=(0, 1),
        scaled=(0, 1),
        smallest_batch=1,
        too_small="needs one or more, not 0",
    ),
]
