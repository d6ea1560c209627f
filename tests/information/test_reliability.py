import math

import numpy as np
import pytest
import torch

from nearfar.information import reliability


@pytest.mark.parametrize(("below", "warned"), [(0.2, True), (0.99, True), (1.01, False)])
def test_a_bound_near_log_n_is_warned_of(below, warned):
    told = reliability.near_ceiling(math.log(128) - below, 128)
    assert (told is not None) == warned
    assert not warned or "4.85" in told


def test_at_the_threshold_an_ideal_critic_is_a_quarter_of_a_nat_short_or_more():
    # Each pair lies in one of K equal cells, I = log K: an ideal critic finds a pair's own key
    # among all keys of its cell and no others.
    cells, batch = 61, 128
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(cells, (2000, batch), generator=generator)
    same = (drawn[:, :, None] == drawn[:, None]).sum(dim=2)
    value = math.log(batch) - float(same.double().log().mean())
    assert math.log(batch) - value == pytest.approx(reliability.NEAR_CEILING, abs=0.02)
    assert math.log(cells) - value == pytest.approx(0.26, abs=0.02)


def test_effective_samples_are_all_for_equal_weights_and_one_for_a_single_one():
    assert reliability.effective_samples(torch.full((50,), 3.0)) == pytest.approx(50)
    assert reliability.effective_samples(torch.tensor([900.0, 0, 0])) == pytest.approx(1)
    weights = torch.rand(40, dtype=torch.float64) + 0.1
    expected = float(weights.sum() ** 2 / weights.square().sum())
    assert reliability.effective_samples(weights.log()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("effective", "warned"), [(None, False), (3.0, True), (24.0, True), (26.0, False)]
)
def test_few_effective_samples_are_warned_of(effective, warned):
    assert (reliability.dominated(effective, 1000) is not None) == warned


def test_a_test_part_of_few_samples_is_not_warned_of_for_that_alone():
    assert reliability.dominated(15.0, 20) is None
    assert reliability.dominated(9.0, 20) is not None


def test_over_fitting_is_what_exceeds_the_interval_and_half_a_nat():
    assert reliability.over_fitted(2.0, 1.0, 0.2) is not None
    assert reliability.over_fitted(2.0, 1.0, 0.6) is None
    assert reliability.over_fitted(1.0, 1.4, 0.0) is None


def test_a_curve_that_rises_to_the_last_step_is_warned_of():
    rising = [(0, 0.0), (25, 1.0), (50, 2.0), (75, 3.0), (100, 4.0)]
    assert reliability.still_rising(rising, 100) is not None
    assert reliability.still_rising(rising, 200) is None  # stopped early
    assert reliability.still_rising([*rising[:4], (100, 3.05)], 100) is None
    assert reliability.still_rising([(0, 0.0), (100, 1.0)], 100) is not None


def test_training_that_broke_is_told_with_its_step():
    assert reliability.broke(None, 3) is None
    assert "step 17" in (reliability.broke(17, 10) or "")


@pytest.mark.parametrize(
    ("value", "ksg", "words"),
    [
        (1.0, None, None),
        (1.0, 1.4, None),
        (1.0, 1.6, "has not found all"),
        (1.6, 1.0, "one of the two is wrong"),
        (5.0, 4.1, None),
        (5.0, 3.6, "one of the two"),
        (-40.0, 1.0, "has not found all"),
        (-math.inf, 1.0, "has not found all"),
    ],
)
def test_distance_from_ksg(value, ksg, words):
    told = reliability.far_from_ksg(value, ksg)
    assert (told is None) if words is None else (words in told)


def test_a_few_chance_repetitions_are_not_warned_of():
    assert reliability.repeated(1, 100) is None
    assert reliability.repeated(2, 100) is not None


NORMAL = np.random.default_rng(0).normal(size=1000)


def with_values(*values):
    return np.concatenate([NORMAL[len(values) :], values])


@pytest.mark.parametrize(
    ("column", "count"),
    [
        (NORMAL, None),
        (NORMAL + 1e9, None),
        (np.exp(0.5 * NORMAL), None),
        (np.random.default_rng(0).exponential(size=1000), None),
        (with_values(1e6), 1),
        (with_values(1e300), 1),
        (1e12 + with_values(1e6), 1),
        (with_values(-1e3, 1.1e3, 1e3), 2),
        (with_values(*[-999.0] * 9), 5),  # as missing values are written
        (with_values(*[-999.0] * 11), None),  # a cluster of its own
        (np.exp(3 * NORMAL), 1),
        (np.maximum(NORMAL, 0), None),
        (np.exp(3 * np.maximum(NORMAL, 0)), 1),
        (np.zeros(1000), None),
        (np.arange(1000) < 5, None),  # a rare category
        (np.arange(1000) == 0, None),
    ],
)
def test_values_behind_half_of_the_variance(column, count):
    found = reliability.carried_by_few(np.asarray(column, dtype=np.float64))
    assert found == count


def test_the_fewest_values_are_counted_one_by_one():
    squares = np.square(with_values(9.0, -60.0, 50.0, 45.0))
    column = with_values(9.0, -60.0, 50.0, 45.0)
    centred = np.sort(np.square(column - column.mean()))[::-1]
    expected = next(k for k in range(1, 9) if centred[:k].sum() >= squares.sum() / 2)
    assert reliability.carried_by_few(column) == expected == 2


def test_heavy_columns_are_named():
    columns = np.stack([NORMAL, with_values(1e6), np.exp(3 * NORMAL)], axis=1)
    assert reliability.heavy_tails("x", columns[:, :1]) is None
    told = reliability.heavy_tails("x", columns[:, 1:2])
    assert told.startswith("x: half of its variance or more comes from 1 of 1000 values; such")
    told = reliability.heavy_tails("z", columns)
    assert told.startswith(
        "z: column 1: half of its variance or more comes from 1 of 1000 values, and"
    )
    assert "and likewise in 1 other column; such" in told
