import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_ind_from_stats, ttest_rel

from nearfar.report.uncertainty import Score, difference, wilson_interval


@given(n=st.integers(1, 5000), data=st.data())
def test_wilson_interval_is_that_of_scipy(n, data):
    right = data.draw(st.integers(0, n))
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(right / n, n)
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1


def test_difference_of_two_shares_is_newcombes_published_example():
    # Newcombe 1998, table II, contrast (a): 56/70 against 48/80, method 10.
    gap = difference(Score(56 / 70, n=70), Score(48 / 80, n=80))
    assert gap.value == pytest.approx(0.2)
    assert (gap.low, gap.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(
    first=st.tuples(st.floats(0, 1), st.floats(0.001, 0.2), st.integers(2, 20)),
    second=st.tuples(st.floats(0, 1), st.floats(0.001, 0.2), st.integers(2, 20)),
)
def test_difference_of_two_means_is_welchs(first, second):
    gap = difference(
        Score(first[0], sd=first[1], draws=first[2]),
        Score(second[0], sd=second[1], draws=second[2]),
    )
    test = ttest_ind_from_stats(*first, *second, equal_var=False)
    # p is below .05 exactly where the interval of 95 % leaves out 0.
    if abs(test.pvalue - 0.05) > 1e-6:
        assert (gap.outcome == "level") == (test.pvalue > 0.05)


def test_draws_that_were_kept_are_compared_one_by_one():
    one, other = (0.70, 0.80, 0.60, 0.75, 0.66), (0.65, 0.78, 0.55, 0.69, 0.60)
    gap = difference(
        Score(sum(one) / 5, None, 0.08, 5, one), Score(sum(other) / 5, None, 0.09, 5, other)
    )
    expected = ttest_rel(one, other).confidence_interval(0.95)
    assert (gap.low, gap.high) == pytest.approx((expected.low, expected.high))
    assert gap.outcome == "ahead"


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 2000))
def test_difference_turns_round_with_its_sides(first, second, n):
    one = difference(Score(first, n=n), Score(second, n=n))
    other = difference(Score(second, n=n), Score(first, n=n))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.low <= one.value <= one.high


def test_draws_widen_the_interval_of_the_test_examples():
    alone = difference(Score(0.9, n=500), Score(0.8, n=500))
    drawn = difference(Score(0.9, 500, 0.08, 5), Score(0.8, 500, 0.08, 5))
    assert alone.outcome == "ahead"
    assert drawn.outcome == "level"


def test_a_spread_without_a_number_of_draws_decides_nothing():
    gap = difference(Score(0.9, 500, 0.01), Score(0.1, 500, 0.01))
    assert gap.outcome == "level"
    assert math.isinf(gap.high)


def test_equal_draws_add_nothing():
    assert difference(Score(0.9, None, 0.0, 5), Score(0.8, None, 0.0, 5)).low == pytest.approx(0.1)
