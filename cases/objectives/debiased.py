"""Debiased negatives (also hard ones) and debiased positives."""

import math
from itertools import combinations

from nearfar.objectives import debiased_neg, debiased_pos
from nearfar.testing import ObjectiveCase, views, views_and_labels

from .loops import Row, dot, mean, unit_rows


def neg(*views, **settings):
    return debiased_neg(views, **settings)


def pos(*views, **settings):
    return debiased_pos(views, **settings)


def neg_dropping(*inputs, **settings):
    return debiased_neg(inputs[:-1], labels=inputs[-1], **settings)


def pos_dropping(*inputs, **settings):
    return debiased_pos(inputs[:-1], labels=inputs[-1], **settings)


def anchors(views: list[list[Row]], temperature: float, labels: list[int] | None):
    """Each anchor's h with its positives, the own pair first, with its negatives, with the rest."""

    def h(x: Row, y: Row) -> float:
        return math.exp(dot(x, y) / temperature)

    for a, b in ((0, 1), (1, 0)):
        for i, anchor in enumerate(views[a]):
            positives = [h(anchor, view[i]) for view in (views[b], *views[2:])]
            negatives, dropped = [], []
            for view in views[:2]:
                for j, row in enumerate(view):
                    if j != i:
                        same = labels is not None and labels[j] == labels[i]
                        (dropped if same else negatives).append(h(anchor, row))
            yield positives, negatives, dropped


def slow_neg(*views, labels=None, temperature, tau_plus, beta=0.0, rescale=False):
    losses = []
    rows = [unit_rows(view) for view in views]
    for positives, negatives, dropped in anchors(rows, temperature, labels):
        weights = [h**beta for h in negatives]
        total = math.fsum(w * h for w, h in zip(weights, negatives, strict=True)) / mean(weights)
        count = len(negatives) + len(dropped)
        if rescale:
            total *= count / len(negatives)
        corrected = (total - tau_plus * count * mean(positives)) / (1 - tau_plus)
        corrected = max(corrected, count * math.exp(-1 / temperature))
        losses.append(math.log1p(corrected / positives[0]))
    return mean(losses)


def slow_neg_dropping(*inputs, **settings):
    return slow_neg(*inputs[:-1], labels=inputs[-1].tolist(), **settings)


def slow_pos(*views, positives="grouping", **settings):
    if positives == "combination":
        return mean([slow_grouping(pair, **settings) for pair in combinations(views, 2)])
    return slow_grouping(views, **settings)


def slow_pos_dropping(*inputs, **settings):
    return slow_pos(*inputs[:-1], labels=inputs[-1].tolist(), **settings)


def slow_grouping(
    views, temperature, tau_plus, labels=None, rescale=False, marginal_over="candidates"
):
    losses = []
    rows = [unit_rows(view) for view in views]
    for positives, negatives, dropped in anchors(rows, temperature, labels):
        count = len(negatives) + len(dropped)
        total = math.fsum([*negatives, *dropped, mean(positives), math.exp(1 / temperature)])
        marginal = total / (count + 2 if marginal_over == "candidates" else count)
        g = mean(negatives) if rescale else math.fsum(negatives) / count
        a = max(marginal - (1 - tau_plus) * g, tau_plus * math.exp(-1 / temperature))
        losses.append(math.log1p(count * tau_plus * g / a))
    return mean(losses)


def case(name, objective, slow, number, inputs=views, **more):
    """A case of these settings, sharp at temperature 0.01."""
    return ObjectiveCase(
        name,
        objective,
        slow,
        inputs(number),
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
    *(
        case(
            f"{name} without false negatives{more}{', rescaled' if rescale else ''}",
            objective,
            slow,
            number,
            views_and_labels,
            rescale=rescale,
            **settings,
        )
        for name, objective, slow, number, more, settings in (
            ("debiased_neg", neg_dropping, slow_neg_dropping, 2, "", {}),
            ("debiased_neg", neg_dropping, slow_neg_dropping, 2, ", hard ones", {"beta": 0.5}),
            ("debiased_pos", pos_dropping, slow_pos_dropping, 2, "", {}),
            (
                "debiased_pos",
                pos_dropping,
                slow_pos_dropping,
                3,
                ", combination",
                {"positives": "combination"},
            ),
        )
        for rescale in (False, True)
    ),
]
