"""Labels that are wrong on purpose."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.data.source import Part, Source
from nearfar.errors import SettingError


def with_label_noise(source: Source, share: float, *, seed: int = 0) -> Part:
    """The training part with a share of its labels replaced by those of other classes.

    `round(share · n)` examples are drawn from all alike, and each gets one of the other classes,
    drawn uniformly: symmetric noise (Patrini et al. 2017), whatever the sizes of the classes. The
    examples follow from the seed alone; those of a larger share take in those of a smaller one.

    Args:
        source: Keeps its true labels.
        share: Of the labels, 0 to 1.
        seed: Chooses the examples and their labels.

    Raises:
        SettingError: The training part has no labels, or there is one class alone.
    """
    labels, classes = _labels(source, share)
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    random = np.random.RandomState([seed, 1])
    wrong = torch.from_numpy(random.permutation(len(labels))[: round(share * len(labels))])
    steps = torch.from_numpy(random.randint(1, classes, len(labels), dtype=np.int64))
    noisy = labels.clone()
    noisy[wrong] = (labels[wrong] + steps[wrong]) % classes
    return replace(source.train, labels=noisy)


def noted_label_noise(source: Source, share: float, *, learning: int, seed: int = 0) -> Source:
    """The source, its labels true, with a note on the noise that learning will see.

    Args:
        source: What is learnt from and judged by.
        share: Of the labels, 0 to 1.
        learning: Examples that are learnt from: those of the training part that are not held out.
        seed: Chooses the examples and their labels.

    Raises:
        SettingError: The training part has no labels, or there is one class alone.
    """
    _labels(source, share)
    note = (
        f"label noise: {round(share * learning)} of the {learning} labels that learning sees"
        f" are of another class; the evaluation has the true ones (data.seed {seed})"
    )
    return replace(source, notes=(*source.notes, note))


def _labels(source: Source, share: float) -> tuple[Int64[Tensor, " n"], int]:
    """Labels of the training part and the number of classes, if there are any to mix up."""
    labels, classes = source.train.labels, source.num_classes
    if labels is None or classes is None or classes < 2:
        raise SettingError(
            f"data.label_noise={share:g}: the training part of {source.name} has no labels of two "
            "or more classes to mix up; leave it out"
        )
    return labels, classes
