"""Long-tailed training parts, made from balanced ones as the literature makes them."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64

from nearfar.data.labels import class_counts
from nearfar.data.source import Source, choose
from nearfar.data.source_spec import TailOrder
from nearfar.errors import SettingError


def long_tail(
    source: Source, imbalance_factor: float, *, seed: int = 0, order: TailOrder = "listed"
) -> Source:
    """Thin out the training part, so that the sizes of its classes fall off exponentially.

    `n_c = ⌊ n_max · IF^(−c/(C−1)) ⌋` for class c of C (Cui et al. 2019, Cao et al. 2019): the first
    class keeps `n_max` examples, the last one `n_max / IF`. First and last are as the classes are
    listed, or of an order that the seed draws, so that size has nothing to do with what a class is.
    `n_max` is the size of the smallest class. In a balanced set, such as CIFAR, that is the size of
    every class; in any other it is the largest number for which each class has as many examples as
    it must keep.

    Which examples a class keeps follows from the seed and the order alone, and a larger factor
    keeps some of those that a smaller one keeps. Test and unlabelled part stay as they are.

    Args:
        source: With labels in its training part, of two classes or more; in memory or streamed.
        imbalance_factor: Size of the largest class in sizes of the smallest: 1 to `n_max`.
        seed: Chooses the examples, and draws the order.
        order: `listed` or `drawn`.

    Returns:
        The source with fewer training examples, in their old order, and a note of what was done.

    Raises:
        SettingError: There are no labels, there is one class alone, or a class would keep nothing.
    """
    labels, classes = source.train.labels, source.num_classes
    if labels is None or classes is None:
        raise SettingError(
            f"data.imbalance_factor={imbalance_factor:g}: the training part of {source.name} has "
            "no labels to make a long tail by; leave it out"
        )
    counts = class_counts(source.train, classes)
    largest = int(counts.min())
    if classes < 2 or imbalance_factor < 1 or imbalance_factor > largest:
        names = source.class_names or tuple(str(number) for number in range(classes))
        raise SettingError(
            f"data.imbalance_factor={imbalance_factor:g}: at least 1 and, so that the last of two "
            f"or more classes keeps one, at most the size of the smallest ({largest} examples "
            f"of class {names[int(counts.argmin())]!r} in {source.name})"
        )
    sizes = long_tail_sizes(largest, imbalance_factor, classes)
    if order == "drawn":
        # A stream of its own, so that the choice of examples is that of the other order.
        sizes = sizes[np.random.RandomState((seed, 1)).permutation(classes)]
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    random = np.random.RandomState(seed)
    kept = [
        random.permutation(np.flatnonzero(labels.numpy() == number))[:size]
        for number, size in enumerate(sizes)
    ]
    train = choose(source.train, torch.from_numpy(np.sort(np.concatenate(kept))))
    note = (
        f"long tail with imbalance factor {imbalance_factor:g}: {len(train)} of "
        f"{len(source.train)} training examples are kept, {_told(sizes, order)} "
        f"(data.seed {seed})"
    )
    return replace(source, train=train, notes=(*source.notes, note), order=None)


def _told(sizes: Int64[np.ndarray, " classes"], order: TailOrder) -> str:
    if order == "listed":
        return f"{sizes[0]} of the first class down to {sizes[-1]} of the last"
    return f"{sizes.max()} of the largest class down to {sizes.min()}, in an order that was drawn"


def long_tail_sizes(
    largest: int, imbalance_factor: float, classes: int
) -> Int64[np.ndarray, " classes"]:
    """`⌊ largest · IF^(−c/(C−1)) ⌋` for c from 0 to C − 1.

    Args:
        largest: Size of class 0.
        imbalance_factor: IF above.
        classes: C above, 2 or more.
    """
    sizes = largest * imbalance_factor ** (-np.arange(classes) / (classes - 1))
    # A size that is a whole number must not lose one to the rounding of the power.
    return np.floor(sizes * (1 + 1e-12)).astype(np.int64)
