"""Three disjoint parts of the samples: to learn from, to stop by, to report on."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.errors import NearfarError

TRAINING, VALIDATION, TEST = 0.6, 0.15, 0.25
"""Shares of the samples. Test outweighs validation: the interval lives on the number of batches."""
_TEST_BATCHES = 2
"""Below two batches nothing is known of the spread between them."""


@dataclass(frozen=True)
class Parts:
    """Indices of the samples of each part; no sample is in two."""

    training: Int64[Tensor, " train"]
    validation: Int64[Tensor, " validation"]
    test: Int64[Tensor, " test"]


def fewest_samples(batch_size: int) -> int:
    """Samples below which a part is smaller than its batches."""
    return int(np.ceil(max(1 / TRAINING, 1 / VALIDATION, _TEST_BATCHES / TEST) * batch_size))


def split(count: int, batch_size: int, seed: int) -> Parts:
    """Shuffles the samples into three parts.

    Args:
        count: Number of samples.
        batch_size: Of the batches that each part must fill: one of training and of validation, two
            of test.
        seed: Decides the shuffle.

    Raises:
        NearfarError: There are too few samples.
    """
    needed = fewest_samples(batch_size)
    if count < needed:
        smaller = int(count * min(TRAINING, VALIDATION, TEST / _TEST_BATCHES))
        advice = f"lower batch_size to {smaller}" if smaller >= 2 else "give more samples"
        raise NearfarError(
            f"{count} samples are too few for three parts in batches of {batch_size}, which take "
            f"{needed}: {advice}"
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    # Rounded to ints before they are added up, so that no sample is lost between two parts.
    test, validation = int(TEST * count), int(VALIDATION * count)
    return Parts(
        training=order[test + validation :],
        validation=order[test : test + validation],
        test=order[:test],
    )


def batches(part: Int64[Tensor, " part"], batch_size: int) -> list[Int64[Tensor, " batch"]]:
    """A part cut into whole batches, always the same; what is left over is left out."""
    return list(part[: len(part) // batch_size * batch_size].split(batch_size))
