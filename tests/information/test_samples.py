import re

import numpy as np
import pytest
import torch
from gaussians import gaussian_pairs

from nearfar.errors import NearfarError
from nearfar.information.samples import paired_samples, repeated_in, split

X, Z = gaussian_pairs(50, 2, 1.0)
LABELS = np.arange(50) % 3


def refusal(x, z):
    with pytest.raises(NearfarError) as refused:
        paired_samples(x, z)
    told = str(refused.value)
    assert "\n" not in told
    return told


def test_numbers_become_rows_of_float64():
    pairs = paired_samples(X.reshape(50, 1, 2), Z[:, 0] + 1e9)
    assert pairs.x.shape == (50, 2)
    assert pairs.z.shape == (50, 1)
    assert pairs.classes is None
    # The offset of 1e9 would leave float32 no digit of the values.
    assert pairs.z[:, 0].tolist() == (Z[:, 0] + 1e9).tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_whole_numbers_keep_every_digit_beyond_the_reach_of_float64(dtype):
    steps = np.random.default_rng(0).permutation(50).astype(dtype)[:, None]
    far = steps + dtype(2**63 - 100)
    assert paired_samples(far, Z).x.tolist() == steps.astype(float).tolist()
    ends = np.array([[np.iinfo(dtype).min], [np.iinfo(dtype).max]] * 25, dtype=dtype)
    assert paired_samples(ends, Z).x.max() == 2.0**64


def test_a_mask_that_hides_nothing_does_no_harm():
    pairs = paired_samples(np.ma.array(X), [np.ma.array(row) for row in Z])
    assert pairs.x.tolist() == X.tolist()
    assert pairs.z.tolist() == Z.tolist()


@pytest.mark.parametrize("labels", [LABELS + 7, LABELS == 1, np.array(["a", "b", "c"])[LABELS]])
def test_whole_numbers_truth_values_and_words_are_labels(labels):
    pairs = paired_samples(X, labels)
    assert pairs.z.dtype == torch.int64
    assert pairs.classes == len(np.unique(labels))
    assert pairs.z.unique().tolist() == list(range(pairs.classes))


def test_a_column_of_whole_numbers_is_no_label():
    assert paired_samples(X, LABELS[:, None]).classes is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_tensors_are_taken_with_gradient_and_in_any_precision(dtype):
    tensor = torch.tensor(X, dtype=dtype, requires_grad=True)
    assert paired_samples(tensor, Z).x.tolist() == tensor.double().tolist()


def with_value(value):
    spoilt = Z.copy()
    spoilt[7, 1] = value
    return spoilt


def masked(values):
    """The same with what belongs to sample 7 hidden, as where it is missing."""
    hidden = np.zeros(values.shape, dtype=bool)
    hidden[7] = True
    return np.ma.array(values, mask=hidden)


@pytest.mark.parametrize(
    ("x", "z", "words"),
    [
        (X, Z[:40], "x holds 50 samples and z 40"),
        (X, with_value(np.nan), r"z: NaN, infinite .* in 1 of 50 examples \(first: 7\)"),
        (with_value(np.inf), Z, "x: NaN, infinite"),
        (X, masked(Z), r"z: masked values in 1 of 50 examples \(first: 7\); fill in"),
        (list(masked(X)), Z, "x: masked values in 1 of 50"),
        (X, masked(Z[:, 0]), "z: masked values in 1 of 50"),
        (X, list(masked(Z[:, 0])), "z: masked values in 1 of 50"),
        (X, masked(LABELS), "z: masked values in 1 of 50"),
        (np.ones((50, 2)), Z, "x: all 50 samples are the same"),
        (X, np.full(50, 0.1), "z: all 50 samples are the same"),
        (X, np.ones(50, dtype=int), "z: all 50 labels are 1: one class"),
        (X, np.arange(50), "50 different labels in 50 samples are no classes"),
        (X, -LABELS, "negative"),
        (LABELS, Z, "labels, which come second"),
        (X, np.array(3.0), "z is a single value"),
        (X, [[1.0], [2.0, 3.0]], "rows of different lengths"),
        (X + 1j, Z, "complex128 values"),
        (X, np.empty((50, 0)), "holds no value"),
    ],
)
def test_what_is_no_pair_of_samples_is_refused_in_one_line(x, z, words):
    assert re.search(words, refusal(x, z))


def test_copies_of_samples_are_found_across_parts():
    pairs = paired_samples(np.vstack([X, X]), np.vstack([Z, Z]))
    parts = split(100, 8, 0)
    twins = {int(row) % 50 for row in parts.training}
    expected = sum(int(row) % 50 in twins for row in parts.test)
    assert expected > 0
    assert repeated_in(pairs, parts.test, parts.training) == expected
    fewer = split(50, 4, 0)
    assert repeated_in(paired_samples(X, Z), fewer.test, fewer.training) == 0
    labelled = paired_samples(np.vstack([X, X]), np.concatenate([LABELS, LABELS]))
    assert repeated_in(labelled, parts.test, parts.training) == expected
