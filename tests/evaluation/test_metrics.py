"""Published metrics against slow loops written from their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.evaluation.metrics import eleven_point_precision, mean_per_class, voc_precisions


def slow_mean_per_class(predictions, labels, classes):
    shares = []
    for kind in range(classes):
        of_kind = [p == kind for p, own in zip(predictions, labels, strict=True) if own == kind]
        if of_kind:
            shares.append(sum(of_kind) / len(of_kind))
    return sum(shares) / len(shares)


def slow_eleven_points(scores, present):
    """The definition: at each recall r̃ the maximum of p(r) over r ≥ r̃ (Everingham et al. 2010)."""
    rows = [(-s, i, p) for i, (s, p) in enumerate(zip(scores, present, strict=True)) if p != 0]
    rows.sort()
    total = sum(p == 1 for _, _, p in rows)
    curve, found = [], 0
    for rank, (_, _, p) in enumerate(rows, 1):
        found += p == 1
        curve.append((found, found / rank))
    points = []
    for tenth in range(11):
        points.append(max(precision for got, precision in curve if got * 10 >= tenth * total))
    return sum(points) / 11


ROWS = st.lists(st.tuples(st.integers(-4, 4), st.sampled_from([1, -1, 0])), min_size=1, max_size=40)


@given(ROWS)
def test_eleven_points_are_those_of_the_definition(rows):
    scores, present = zip(*rows, strict=True)
    found = eleven_point_precision(
        torch.tensor(scores, dtype=torch.float32), torch.tensor(present, dtype=torch.int8)
    )
    if 1 not in present:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(slow_eleven_points(scores, present), abs=1e-12)


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_the_mean_over_classes_is_that_of_the_definition(rows):
    predictions, labels = zip(*rows, strict=True)
    found = mean_per_class(torch.tensor(predictions), torch.tensor(labels), 5)
    assert found == pytest.approx(slow_mean_per_class(predictions, labels, 5), abs=1e-12)


def test_a_perfect_order_is_1_and_a_reversed_one_is_the_share_at_the_end():
    scores, present = torch.arange(10.0), torch.tensor([-1] * 8 + [1, 1], dtype=torch.int8)
    assert eleven_point_precision(scores, present) == 1
    # Backwards: half is found at rank 9 with 1/9, all at rank 10 with 2/10, the highest from there.
    assert eleven_point_precision(-scores, present) == pytest.approx(0.2)


def test_a_class_is_judged_by_itself_and_difficult_objects_are_left_out():
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.9], [0.1, 0.5]])
    present = torch.tensor([[0, -1], [1, 1], [-1, -1]], dtype=torch.int8)
    assert voc_precisions(scores, present).tolist() == [1, 1]
