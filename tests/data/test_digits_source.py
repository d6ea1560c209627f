import hashlib

import numpy as np
import torch
from sklearn.datasets import load_digits as bundled
from sklearn.model_selection import train_test_split

from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec


def test_the_split_is_the_documented_one():
    source = load_source(DigitsSpec())
    pixels, labels = bundled(return_X_y=True)
    kept, held_out = train_test_split(
        np.arange(1797), test_size=500, stratify=labels, random_state=0
    )
    for part, rows in ((source.train, np.sort(kept)), (source.test, np.sort(held_out))):
        assert part is not None
        assert part.examples.shape == (len(rows), 1, 8, 8)
        assert part.examples.dtype == torch.uint8
        np.testing.assert_array_equal(part.labels, labels[rows])
        expected = pixels[rows].reshape(-1, 1, 8, 8) * 255 / 16
        np.testing.assert_allclose(part.examples, expected, atol=0.5)
    assert not set(kept) & set(held_out)


def test_the_test_part_never_changes():
    """Figures over the years are only comparable while this digest stays."""
    test = load_source(DigitsSpec()).test
    assert test is not None
    digest = hashlib.sha256(test.examples.numpy().tobytes()).hexdigest()
    assert digest == "e35c3344aa270ca437773d61f8bab033bb0ff79329ff8fb3640334d771aae02f"


def test_classes_are_in_proportion():
    source = load_source(DigitsSpec())
    assert source.test is not None
    assert source.class_names == tuple("0123456789")
    whole = torch.cat([source.train.labels, source.test.labels])
    share = torch.bincount(source.test.labels) / torch.bincount(whole)
    assert (share - 500 / 1797).abs().max() < 0.01
