import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.source import JoinedExamples, Part
from nearfar.data.splits import split_part, stratified_split

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)
FRACTIONS = st.floats(0.01, 0.99)


@given(LABELS, FRACTIONS)
def test_every_example_is_in_one_part_and_every_class_in_both(labels, fraction):
    kept, held_out = stratified_split(len(labels), labels, fraction)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    for label in np.unique(labels):
        count, held = (labels == label).sum(), (labels[held_out] == label).sum()
        assert held <= count - 1
        assert held >= min(1, count - 1)
        assert abs(held - count * fraction) <= 1


@given(st.integers(1, 100), FRACTIONS)
def test_without_labels_the_fraction_is_of_all(count, fraction):
    kept, held_out = stratified_split(count, None, fraction)
    assert abs(len(held_out) - count * fraction) <= 1
    assert sorted([*kept, *held_out]) == list(range(count))


def test_the_split_never_changes():
    """Numbers pinned: a new split would make old figures incomparable."""
    _, held_out = stratified_split(20, np.arange(20) % 2, 0.3)
    assert held_out.tolist() == [3, 4, 7, 8, 11, 16]
    assert stratified_split(5, None, 0.0)[1].tolist() == []


def test_it_depends_on_no_global_random_state():
    np.random.seed(5)
    first = stratified_split(30, None, 0.5)[1]
    np.random.seed(6)
    np.testing.assert_array_equal(first, stratified_split(30, None, 0.5)[1])


def test_parts_keep_images_labels_and_names_together():
    images = torch.arange(10, dtype=torch.uint8).reshape(10, 1, 1, 1)
    part = Part(images, torch.arange(10) // 5, [str(n) for n in range(10)])
    kept, held_out = split_part(part, 0.4)
    assert held_out is not None
    for chosen in (kept, held_out):
        numbers = chosen.examples.flatten().tolist()
        assert chosen.names == [str(n) for n in numbers]
        assert chosen.labels.tolist() == [n // 5 for n in numbers]
    assert len(held_out) == 4
    assert split_part(part, 0.0) == (part, None)


@pytest.mark.parametrize("index", [0, 2, 3, 4])
def test_joined_images_lie_one_after_the_other(index):
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1)
    joined = JoinedExamples(images[:3], images[3:])
    assert len(joined) == 5
    assert joined.shape == (1, 1, 1)
    assert joined[index].item() == index
