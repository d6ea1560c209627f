"""Labelled examples that are kept out of training, so that a check during it is no echo of it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.data.source import Part, Source, choose
from nearfar.data.source_spec import SourceSpec, held_out_count

HELD_OUT_SEED = 1
"""Seed of the choice, fixed: runs of every seed, and of every method, learn from the same ones."""


@dataclass(frozen=True)
class Taught:
    """A source as learning sees it.

    Attributes:
        source: The source whose training part lacks what is held out.
        held_out: What the method never sees, neither the examples nor their labels; None where
            nothing is held out.
        rows: `(n,)`, the number that each example of `source.train` had in the whole training part.
    """

    source: Source
    held_out: Part | None
    rows: Int64[Tensor, " n"]


def hold_out(source: Source, spec: SourceSpec) -> Taught:
    """Take `spec.held_out` of the labelled training examples away from learning.

    Of a long tail they are taken after it was made, so that learning sees a tenth less of every
    class. Without labels there is nothing to check, and nothing is held out.

    Args:
        source: From `load_source`; it keeps all of its examples for the evaluation.
        spec: `held_out`.
    """
    chosen = held_out_rows(source.train.labels, spec.held_out)
    if not len(chosen):
        return Taught(source, None, torch.arange(len(source.train)))
    kept = torch.ones(len(source.train), dtype=torch.bool)
    kept[chosen] = False
    rows = kept.nonzero().squeeze(1)
    taught = replace(source, train=choose(source.train, rows))
    return Taught(taught, choose(source.train, chosen), rows)


def held_out_rows(labels: Int64[Tensor, " n"] | None, share: float) -> Int64[Tensor, " m"]:
    """Which examples are held out, ascending: from every class in proportion, always the same.

    Classes whose share is no whole number give one more or one less, so that the whole is exact.
    Every class keeps at least one example to learn from.

    Args:
        labels: Class of each training example, or None where there are none.
        share: Of all examples, 0 up to but not including 1; at most 5000 of them.
    """
    if labels is None or share == 0 or not len(labels):
        return torch.arange(0)
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    random = np.random.RandomState(HELD_OUT_SEED)
    members = [np.flatnonzero(labels.cpu().numpy() == label) for label in labels.unique().tolist()]
    sizes = np.array([len(each) for each in members])
    counts = _in_proportion(sizes, held_out_count(len(labels), share), random)
    chosen = [random.permutation(each)[:count] for each, count in zip(members, counts, strict=True)]
    return torch.from_numpy(np.sort(np.concatenate(chosen)))


def _in_proportion(
    sizes: Int64[np.ndarray, " classes"], total: int, random: np.random.RandomState
) -> Int64[np.ndarray, " classes"]:
    """How many each class gives: rounded down, then one more from where most was cut off."""
    total = min(total, int((sizes - 1).sum()))
    wanted = total * sizes / sizes.sum()
    counts = np.minimum(np.floor(wanted).astype(np.int64), sizes - 1)
    in_any_order = random.permutation(len(sizes))
    order = in_any_order[np.argsort(-(wanted - counts)[in_any_order], kind="stable")]
    while (missing := total - int(counts.sum())) > 0:
        counts[order[(counts < sizes - 1)[order]][:missing]] += 1
    return counts
