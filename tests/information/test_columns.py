import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from nearfar.information.samples import Scaled, normal_scores

ANY = st.floats(allow_nan=False, allow_infinity=False)
COLUMNS = arrays(np.float64, st.integers(1, 30), elements=ANY)


def column_of(values):
    return torch.from_numpy(np.array(values, dtype=np.float64)[:, None])


def test_normal_scores_are_those_of_ranks_and_equal_values_share_one():
    scores = normal_scores(np.array([5.0, -1e300, 7.0, 5.0]))
    np.testing.assert_allclose(scores, norm.ppf(np.array([2.5, 1, 4, 2.5]) / 4 - 1 / 8), atol=1e-9)


def test_a_tame_column_is_standardised_by_the_samples_to_learn_from():
    rows = torch.from_numpy(np.random.default_rng(0).normal(5, 3, size=(90, 2)))
    training = rows[:60]
    expected = (rows - training.mean(0)) / training.std(0, correction=0)
    low, high = expected[:60].amin(0), expected[:60].amax(0)
    torch.testing.assert_close(Scaled(training)(rows), expected.clamp(low, high).float())


def test_a_column_of_few_large_values_is_taken_by_rank():
    values = np.exp(5 * np.random.default_rng(0).normal(size=200))
    scaled = Scaled(column_of(values))
    np.testing.assert_allclose(
        scaled(column_of(values))[:, 0], normal_scores(values), atol=1e-6, rtol=1e-6
    )
    first, second, _last = np.sort(values)[[0, 1, -1]]
    between = scaled(column_of([(first + second) / 2, -1e300, 1e300]))[:, 0]
    low, next_one, high = np.sort(normal_scores(values))[[0, 1, -1]]
    np.testing.assert_allclose(between, [(low + next_one) / 2, low, high], rtol=1e-6)


def test_a_constant_column_is_zero_whatever_comes_later():
    found = Scaled(column_of([3e8, 3e8]))(column_of([3e8, 7.0, 1e300]))
    assert found.tolist() == [[0.0], [0.0], [0.0]]


@given(COLUMNS, COLUMNS)
def test_any_finite_values_keep_their_order_and_stay_small(column, others):
    scaled = Scaled(column_of(column))
    found = scaled(column_of(np.sort(np.concatenate([column, others]))))[:, 0]
    assert bool(found.isfinite().all())
    assert bool((found.diff() >= -1e-6).all())
    assert float(found.abs().max()) <= len(column) ** 0.5 + 1e-4
    assert scaled(column_of(others)).dtype == torch.float32


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("unit", [1e-300, 1e12, 1e300])
def test_units_do_not_matter(unit, heavy):
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(90, 2)))
    rows = rows**5 / 1e3 if heavy else rows
    expected = Scaled(rows[:60])(rows)
    torch.testing.assert_close(Scaled(unit * rows[:60])(unit * rows), expected)
