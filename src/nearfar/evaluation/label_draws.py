"""Which labels there are to learn from: a share of all, or some a class."""

import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.evaluation.few_labels import draw_labels
from nearfar.evaluation.trained_specs import of_labels


def draws_of(
    labels: Int64[Tensor, " n"], asked: str, count: int, *, seed: int
) -> list[Int64[Tensor, " m"]]:
    """Rows that keep their label, in rising order, in each draw.

    A draw depends on the labels, what is asked, its number and the seed alone, so that all that
    start elsewhere learn from the same examples. So many a class are those of few-label probes. Of
    a share, each class gives its own, rounded, and at least one.

    Args:
        labels: Class of every training example.
        asked: "10%" of all, or "5" a class.
        count: Draws.
        seed: Seeds them.
    """
    share, per_class = of_labels(asked)
    if share is None:
        return draw_labels(labels, per_class or 1, count, seed=seed)
    if share == 1:
        return [torch.arange(len(labels))] * count
    members = [(labels == label).nonzero().squeeze(1) for label in torch.unique(labels)]
    drawn = []
    for number in range(count):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + round(1e6 * share) + number)
        picked = [
            rows[torch.randperm(len(rows), generator=generator)[: max(1, round(share * len(rows)))]]
            for rows in members
        ]
        drawn.append(torch.cat(picked).sort().values)
    return drawn
