"""PaCo, as the paper writes it and as its published program divides it."""

import math

import torch

from nearfar.objectives import paco
from nearfar.testing import ObjectiveCase, views

from .balanced_softmax import counted_classes
from .loops import dot, mean, unit_rows

CLASSES = 4


def slow_paco(
    queries, keys, labels, centre_logits, queue, queue_labels, class_counts, alpha, temperature,
    normalisation,
):  # fmt: skip
    anchors = unit_rows(queries)
    samples = anchors + unit_rows(keys) + unit_rows(queue)
    sample_labels = labels.tolist() * 2 + queue_labels.tolist()
    shares = [count / int(class_counts.sum()) for count in class_counts.tolist()]
    losses = []
    for i, (anchor, logits) in enumerate(
        zip(anchors, centre_logits.double().tolist(), strict=True)
    ):
        own = sample_labels[i]
        # (weight as a positive, ψ) of each candidate.
        candidates = [
            (alpha if sample_labels[j] == own else 0, math.exp(dot(anchor, sample) / temperature))
            for j, sample in enumerate(samples)
            if j != i
        ]
        for c, logit in enumerate(logits):
            candidates.append((1 if c == own else 0, shares[c] * math.exp(logit)))
        whole = math.fsum(psi for _, psi in candidates)
        loss = math.fsum(-weight * math.log(psi / whole) for weight, psi in candidates if weight)
        weights = math.fsum(weight for weight, _ in candidates)
        losses.append(loss / weights if normalisation == "mean" else loss)
    return mean(losses)


def paco_with_queue(
    queries, keys, labels, centre_logits, queue, queue_labels, class_counts, **settings
):
    return paco(
        queries,
        keys,
        labels,
        centre_logits,
        queue=queue,
        queue_labels=queue_labels,
        class_counts=class_counts,
        **settings,
    )


def queued(batch, dim, seed):
    labels, counts = counted_classes(batch, CLASSES, seed)
    queries, keys = views(2)(batch, dim, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    return (
        queries,
        keys,
        labels,
        2 * torch.randn(batch, CLASSES, generator=generator, dtype=torch.float64),
        torch.randn(9, dim, generator=generator, dtype=torch.float64),
        torch.randint(CLASSES, (9,), generator=generator),
        counts,
    )


CASES = [
    ObjectiveCase(
        name,
        paco_with_queue,
        slow_paco,
        queued,
        settings={"alpha": 0.3, "temperature": 0.4, "normalisation": normalisation},
        sharp={"alpha": 0.3, "temperature": 0.01, "normalisation": normalisation},
        common=(4, 5, 6),
        rotated=(0, 1, 4),
        scaled=(0, 1, 4),
        unbounded=(3,),
        smallest_batch=1,
    )
    for name, normalisation in (("paco", "mean"), ("paco sum", "sum"))
]
