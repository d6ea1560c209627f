"""SupCon, with the mean over positives outside and inside the logarithm."""

import math

import torch

from nearfar.objectives import supcon
from nearfar.testing import ObjectiveCase, labelled

from .loops import dot, log_sum_exp, mean, unit_rows

CLASSES = 4


def slow_supcon(embeddings, labels, temperature, kind):
    return slow_supcon_with_keys(
        embeddings, labels, embeddings[:0], labels[:0], temperature=temperature, kind=kind
    )


def slow_supcon_with_keys(embeddings, labels, keys, key_labels, temperature, kind):
    rows, labels = unit_rows(embeddings) + unit_rows(keys), labels.tolist() + key_labels.tolist()
    losses = []
    for i, anchor in enumerate(rows[: len(embeddings)]):
        candidates = [j for j in range(len(rows)) if j != i]
        positives = [j for j in candidates if labels[j] == labels[i]]
        if not positives:
            continue
        similarity = {j: dot(anchor, rows[j]) / temperature for j in candidates}
        whole = log_sum_exp(list(similarity.values()))
        logs = [similarity[p] - whole for p in positives]
        if kind == "out":
            losses.append(-mean(logs))
        else:
            losses.append(math.log(len(positives)) - log_sum_exp(logs))
    return mean(losses)


def supcon_with_keys(embeddings, labels, keys, key_labels, **settings):
    return supcon(embeddings, labels, keys=keys, key_labels=key_labels, **settings)


def with_keys(batch, dim, seed):
    """Rows of four classes, and nine keys, some of each class."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, dim, generator=generator, dtype=torch.float64),
        torch.randint(CLASSES, (batch,), generator=generator),
        torch.randn(9, dim, generator=generator, dtype=torch.float64),
        torch.arange(9) % CLASSES,
    )


CASES = [
    ObjectiveCase(
        name,
        supcon,
        slow_supcon,
        labelled,
        settings={"temperature": 0.3, "kind": kind},
        sharp={"temperature": 0.01, "kind": kind},
        rotated=(0,),
        scaled=(0,),
        too_small="two rows of one label, and all 1 labels",
    )
    for name, kind in (("supcon", "out"), ("supcon in", "in"))
] + [
    ObjectiveCase(
        f"{name} with a queue",
        supcon_with_keys,
        slow_supcon_with_keys,
        with_keys,
        settings={"temperature": 0.3, "kind": kind},
        sharp={"temperature": 0.01, "kind": kind},
        common=(2, 3),
        rotated=(0, 2),
        scaled=(0, 2),
        smallest_batch=1,
    )
    for name, kind in (("supcon", "out"), ("supcon in", "in"))
]
