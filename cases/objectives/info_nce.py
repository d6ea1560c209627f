"""InfoNCE and what is nearest to it: CLIP, contrastive with own negatives, N-pair, decoupled."""

import torch

from nearfar.objectives import clip, contrastive, decoupled, info_nce, n_pair
from nearfar.testing import ObjectiveCase, views, views_and

from .loops import dot, log_sum_exp, mean, raw_rows, unit_rows


def slow_info_nce(queries, keys, negatives=None, *, temperature, symmetric=False):
    queries, keys = unit_rows(queries), unit_rows(keys)
    others = None if negatives is None else unit_rows(negatives)

    def one_direction(queries, keys):
        losses = []
        for i, query in enumerate(queries):
            own = dot(query, keys[i]) / temperature
            against = keys if others is None else [keys[i], *others]
            losses.append(log_sum_exp([dot(query, key) / temperature for key in against]) - own)
        return mean(losses)

    if symmetric:
        return (one_direction(queries, keys) + one_direction(keys, queries)) / 2
    return one_direction(queries, keys)


def with_queue(queries, keys, negatives, **settings):
    return info_nce(queries, keys, negatives=negatives, **settings)


def with_scale(first, second, scale, times):
    return clip(first, second, scale=scale * times)


def slow_clip(first, second, scale, times):
    return slow_info_nce(first, second, temperature=1 / float(scale * times), symmetric=True)


def slow_contrastive(anchors, positives, negatives, temperature):
    losses = []
    for anchor, positive, others in zip(
        unit_rows(anchors), unit_rows(positives), negatives, strict=True
    ):
        own = dot(positive, anchor) / temperature
        against = [dot(other, anchor) / temperature for other in unit_rows(others)]
        losses.append(log_sum_exp([own, *against]) - own)
    return mean(losses)


def slow_n_pair(anchors, positives):
    anchors, positives = raw_rows(anchors), raw_rows(positives)
    losses = []
    for i, anchor in enumerate(anchors):
        gaps = [
            dot(anchor, positive) - dot(anchor, positives[i])
            for j, positive in enumerate(positives)
            if j != i
        ]
        losses.append(log_sum_exp([0.0, *gaps]))
    return mean(losses)


def slow_decoupled(first, second, temperature):
    rows = unit_rows(torch.cat((first, second)))
    batch = len(first)
    losses = []
    for i, anchor in enumerate(rows):
        others = [dot(anchor, row) / temperature for j, row in enumerate(rows) if (i - j) % batch]
        own = dot(anchor, rows[(i + batch) % len(rows)]) / temperature
        losses.append(log_sum_exp(others) - own)
    return mean(losses)


CASES = [
    ObjectiveCase(
        "info_nce",
        info_nce,
        slow_info_nce,
        views(2),
        settings={"temperature": 0.1},
        sharp={"temperature": 0.01},
        rotated=(0, 1),
        scaled=(0, 1),
    ),
    ObjectiveCase(
        "info_nce symmetric",
        info_nce,
        slow_info_nce,
        views(2),
        settings={"temperature": 0.1, "symmetric": True},
        sharp={"temperature": 0.01, "symmetric": True},
        rotated=(0, 1),
        scaled=(0, 1),
    ),
    ObjectiveCase(
        "info_nce with a queue",
        with_queue,
        slow_info_nce,
        views_and((7,)),
        settings={"temperature": 0.1},
        sharp={"temperature": 0.01},
        common=(2,),
        constant=(2,),
        rotated=(0, 1, 2),
        scaled=(0, 1, 2),
        smallest_batch=1,
        too_small="needs one or more, not 0",
        refused=(
            ((torch.ones(2, 3), torch.ones(2, 3), torch.ones(0, 3)), "negatives hold no row"),
        ),
    ),
    ObjectiveCase(
        "clip",
        with_scale,
        slow_clip,
        views_and(5.0),
        settings={"times": 2.0},
        sharp={"times": 20.0},
        common=(2,),
        rotated=(0, 1),
        scaled=(0, 1),
    ),
    ObjectiveCase(
        "contrastive",
        contrastive,
        slow_contrastive,
        views_and((-1, 3)),
        settings={"temperature": 0.07},
        sharp={"temperature": 0.01},
        rotated=(0, 1, 2),
        scaled=(0, 1, 2),
        smallest_batch=1,
        too_small="needs one or more, not 0",
        refused=(((torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 0, 3)), "M of 1 or more"),),
    ),
    ObjectiveCase("n_pair", n_pair, slow_n_pair, views(2), rotated=(0, 1)),
    ObjectiveCase(
        "decoupled",
        decoupled,
        slow_decoupled,
        views(2),
        settings={"temperature": 0.1},
        sharp={"temperature": 0.01},
        rotated=(0, 1),
        scaled=(0, 1),
    ),
]
