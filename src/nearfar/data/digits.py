"""The 1797 handwritten digits inside scikit-learn."""

import numpy as np
import torch

from nearfar.data.source import Part, Source
from nearfar.data.specs import DigitsSpec

TEST_SIZE = 500
SPLIT_SEED = 0


def load_digits(spec: DigitsSpec) -> Source:  # noqa: ARG001  (every loader takes the spec)
    """Read the digits and split them.

    The split is fixed: `sklearn.model_selection.train_test_split` over the indices with
    `test_size=500, stratify=labels, random_state=0`; both parts in ascending order of index.
    Intensities 0 to 16 become 0 to 255.

    Args:
        spec: Nothing in it changes this source.

    Returns:
        1297 images to learn from and 500 for test, 1×8×8.
    """
    # Imported here: scikit-learn takes a second, and other sources do not need it.
    from sklearn.datasets import load_digits as load_bundled_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_bundled_digits(return_X_y=True)
    scaled = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    kept, held_out = train_test_split(
        np.arange(len(labels)), test_size=TEST_SIZE, stratify=labels, random_state=SPLIT_SEED
    )
    train, test = (
        Part(torch.from_numpy(scaled[rows]), torch.from_numpy(labels[rows].astype(np.int64)))
        for rows in (np.sort(kept), np.sort(held_out))
    )
    return Source("digits", train, test, class_names=tuple("0123456789"))
