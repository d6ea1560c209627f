"""Debiased negatives (also hard ones) and debiased positives."""

import math
from itertools import combinations

from nearfar.objectives import debiased_neg, debiased_pos

from .case import Case
from .drawn import views
from .loops import Row, dot, mean, unit_rows


def neg(*views, **settings):
    return debiased_neg(views, **settings)


def pos(*views, **settings):
    return debiased_pos(views, **settings)


def anchors(views: list[list[Row]], temperature: float):
    """Each anchor's h with its positives, the own pair first, and with its negatives."""

    def h(x: Row, y: Row) -> float:
        return math.exp(dot(x, y) / temperature)

    for a, b in ((0, 1), (1, 0)):
        for i, anchor in enumerate(views[a]):
            positives = [h(anchor, view[i]) for view in (views[b], *views[2:])]
            negatives = [
                h(anchor, row) for view in views[:2] for j, row in enumerate(view) if j != i
            ]
            yield positives, negatives


def slow_neg(*views, temperature, tau_plus, beta=0.0):
    losses = []
    for positives, negatives in anchors([unit_rows(view) for view in views], temperature):
        weights = [h**beta for h in negatives]
        total = math.fsum(w * h for w, h in zip(weights, negatives, strict=True)) / mean(weights)
        count = len(negatives)
        corrected = (total - tau_plus * count * mean(positives)) / (1 - tau_plus)
        corrected = max(corrected, count * math.exp(-1 / temperature))
        losses.append(math.log1p(corrected / positives[0]))
    return mean(losses)


def slow_pos(*views, positives="grouping", **settings):
    if positives == "combination":
        return mean([slow_grouping(pair, **settings) for pair in combinations(views, 2)])
    return slow_grouping(views, **settings)


def slow_grouping(views, temperature, tau_plus, marginal_over="candidates"):
    losses = []
    for positives, negatives in anchors([unit_rows(view) for view in views], temperature):
        count = len(negatives)
        total = math.fsum([*negatives, mean(positives), math.exp(1 / temperature)])
        marginal = total / (count + 2 if marginal_over == "candidates" else count)
        a = marginal - (1 - tau_plus) * mean(negatives)
        a = max(a, tau_plus * math.exp(-1 / temperature))
        losses.append(math.log1p(count * tau_plus * mean(negatives) / a))
    return mean(losses)


def case(name, objective, slow, number, **more):
    """A case of these settings, sharp at temperature 0.01."""
    return Case(
        name,
        objective,
        slow,
        views(number),
        settings={"temperature": 0.5, "tau_plus": 0.1, **more},
        sharp={"temperature": 0.01, "tau_plus": 0.1, **more},
        rotated=tuple(range(number)),
        scaled=tuple(range(number)),
    )


CASES = [
    case("debiased_neg", neg, slow_neg, 2),
    case("debiased_neg of three views", neg, slow_neg, 3),
    case("debiased_neg with hard negatives", neg, slow_neg, 2, beta=0.5),
    case("debiased_pos", pos, slow_pos, 2),
    case("debiased_pos grouping", pos, slow_pos, 3, positives="grouping"),
    case("debiased_pos combination", pos, slow_pos, 3, positives="combination"),
    case("debiased_pos over negatives", pos, slow_pos, 2, marginal_over="negatives"),
]
