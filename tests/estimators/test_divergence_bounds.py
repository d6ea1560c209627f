"""Donsker-Varadhan, MINE, NWJ, TUBA, Jensen-Shannon and SMILE: what they are to each other."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.estimators.bound_cases import drawn

from nearfar.errors import NearfarError, SettingError
from nearfar.estimators.donsker_varadhan import (
    donsker_varadhan,
    mine,
    updated_log_moving_average,
)
from nearfar.estimators.gaussian import correlated_log_ratio, correlation_for
from nearfar.estimators.jensen_shannon import jensen_shannon, jensen_shannon_information, smile
from nearfar.estimators.nwj import nwj, tuba
from nearfar.estimators.scores import ScoreMatrix, SeparableScores, log_mean_exp_of_unpaired


def gaussian_pairs(information, dim, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, dim, generator=generator, dtype=torch.float64)
    correlation = correlation_for(information, dim)
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise, correlation


def shifted(scores, by):
    """The same scores, each larger by a number."""
    return ScoreMatrix(scores.queries @ scores.keys.T + by)


@pytest.mark.parametrize("dim", [1, 5])
def test_the_optimal_critic_finds_the_true_information(dim):
    found = {"donsker_varadhan": [], "nwj": [], "js": [], "smile": [], "tuba": [], "paired": []}
    for seed in range(16):
        scores = correlated_log_ratio(*gaussian_pairs(1.0, dim, 500, seed))
        found["paired"].append(scores.paired.mean())
        found["donsker_varadhan"].append(donsker_varadhan(scores))
        found["nwj"].append(nwj(shifted(scores, 1.0)))
        found["js"].append(jensen_shannon_information(scores))
        found["smile"].append(smile(scores, clip=20.0))
        found["tuba"].append(tuba(scores, torch.zeros(500, dtype=torch.float64)))
    for name, values in found.items():
        batches = torch.stack(values)
        error = batches.std() / math.sqrt(len(batches))
        assert error < 0.03, name
        assert abs(batches.mean() - 1.0) < 4 * error + 0.005, name


def test_a_worse_critic_finds_less():
    x, y, correlation = gaussian_pairs(2.0, 2, 4000)
    best = correlated_log_ratio(x, y, correlation)
    worse = correlated_log_ratio(x, y, correlation / 2)
    for bound in (donsker_varadhan, jensen_shannon_information, jensen_shannon):
        assert bound(worse) < bound(best) - 0.1


@settings(max_examples=20)
@given(n=st.integers(2, 12), seed=st.integers(0, 10**6), shift=st.floats(-3, 3))
def test_nwj_is_at_most_donsker_varadhan_and_equal_at_the_best_shift(n, seed, shift):
    queries, keys, _ = drawn(n, 3, seed)
    scores = SeparableScores(queries, keys)
    highest = donsker_varadhan(scores).item()
    assert nwj(shifted(scores, shift)).item() <= highest + 1e-9
    best = 1 - log_mean_exp_of_unpaired(scores)
    assert nwj(shifted(scores, best)).item() == pytest.approx(highest, abs=1e-9)


@settings(max_examples=20)
@given(n=st.integers(2, 12), seed=st.integers(0, 10**6))
def test_tuba_with_the_baseline_e_is_nwj_and_no_baseline_beats_the_mean(n, seed):
    queries, keys, log_baseline = drawn(n, 3, seed)
    scores = SeparableScores(queries, keys)
    ones = torch.ones(n, dtype=torch.float64)
    assert tuba(scores, ones).item() == pytest.approx(nwj(scores).item(), rel=1e-9, abs=1e-9)
    best = scores.unpaired_logsumexp_of_keys() - math.log(n - 1)
    assert tuba(scores, log_baseline).item() <= tuba(scores, best).item() + 1e-9


def test_the_baseline_is_of_y_and_takes_a_function_of_it_from_the_critic():
    queries, keys, log_baseline = drawn(6, 3, 0)
    matrix = queries @ keys.T
    expected = tuba(ScoreMatrix(matrix), log_baseline).item()
    moved = ScoreMatrix(matrix + torch.arange(6.0))
    assert tuba(moved, log_baseline + torch.arange(6.0)).item() == pytest.approx(expected)


def test_donsker_varadhan_of_a_small_batch_is_too_high():
    means = []
    for n in (4, 16, 64):
        batches = [
            donsker_varadhan(correlated_log_ratio(*gaussian_pairs(3.0, 3, n, seed)))
            for seed in range(80)
        ]
        means.append(torch.stack(batches).mean().item())
    assert means[0] > means[1] > means[2] > 3.0


def test_mine_has_the_value_of_donsker_varadhan_and_the_gradient_of_the_moving_average():
    queries, keys, _ = drawn(7, 3, 1)
    queries.requires_grad_()
    matrix = queries @ keys.T
    average = torch.tensor(0.8, dtype=torch.float64)
    mean_of_others = (matrix.exp().sum() - matrix.diagonal().exp().sum()) / 42
    (expected,) = torch.autograd.grad(
        matrix.diagonal().mean() - mean_of_others / math.exp(0.8), queries
    )
    scores = SeparableScores(queries, keys)
    value = mine(scores, average)
    assert value.item() == pytest.approx(donsker_varadhan(scores).item(), rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(value, queries)[0], expected)


def test_mine_with_the_batch_as_its_own_average_is_donsker_varadhan():
    queries, keys, _ = drawn(7, 3, 2)
    queries.requires_grad_()
    scores = SeparableScores(queries, keys)
    first = updated_log_moving_average(None, scores, 0.01)
    ours = torch.autograd.grad(mine(scores, first), queries, retain_graph=True)
    theirs = torch.autograd.grad(donsker_varadhan(scores), queries)
    torch.testing.assert_close(ours, theirs)


def test_the_moving_average_is_that_of_the_means_and_takes_no_gradient():
    average, expected = None, None
    for seed in range(5):
        queries, keys, _ = drawn(6, 3, seed)
        queries.requires_grad_()
        scores = SeparableScores(queries, keys)
        mean = log_mean_exp_of_unpaired(scores).exp().item()
        average = updated_log_moving_average(average, scores, 0.2)
        expected = mean if expected is None else 0.8 * expected + 0.2 * mean
        assert average.exp().item() == pytest.approx(expected)
        assert not average.requires_grad


def test_a_moving_average_of_huge_scores_does_not_overflow():
    queries = (100 * torch.eye(3)).requires_grad_()
    scores = SeparableScores(queries, 100 * torch.eye(3).roll(1, dims=0))
    average = updated_log_moving_average(torch.zeros(()), scores, 0.1)
    assert average.item() == pytest.approx(10_000 - math.log(2) + math.log(0.1))
    value = mine(scores, average)
    assert value.item() == pytest.approx(-10_000 + math.log(2))
    value.backward()
    assert torch.isfinite(queries.grad).all()


def test_jensen_shannon_is_at_its_highest_where_the_critic_is_the_log_ratio():
    scores = correlated_log_ratio(*gaussian_pairs(1.5, 2, 3000))
    matrix = scores.queries @ scores.keys.T
    best = jensen_shannon(scores)
    for other in (matrix + 0.3, matrix - 0.3, 1.2 * matrix, 0.8 * matrix):
        assert jensen_shannon(ScoreMatrix(other)) < best <= 0


def test_smile_of_scores_within_the_clip_is_donsker_varadhan_and_else_clipped():
    queries, keys, _ = drawn(8, 3, 3)
    scores = SeparableScores(queries, keys)
    expected = donsker_varadhan(scores).item()
    assert smile(scores, clip=50.0).item() == pytest.approx(expected, rel=1e-12)
    # All other pairs are clipped from above: the denominator is e^clip.
    high = ScoreMatrix(torch.full((4, 4), 9.0, dtype=torch.float64))
    assert smile(high).item() == pytest.approx(9 - 5)
    assert smile(ScoreMatrix(-high.matrix)).item() == pytest.approx(-9 + 5)


def test_an_exponential_that_overflows_is_minus_infinity():
    scores = ScoreMatrix(torch.full((3, 3), 1000.0))
    assert nwj(scores).item() == jensen_shannon_information(scores).item() == -math.inf
    assert donsker_varadhan(scores).item() == pytest.approx(0, abs=1e-3)


def test_what_has_no_meaning_is_refused():
    scores = ScoreMatrix(torch.zeros(3, 3))
    for clip in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(SettingError, match="clip is"):
            smile(scores, clip=clip)
    for rate in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(SettingError, match=r"rate is .* above 0 and below 1"):
            updated_log_moving_average(None, scores, rate)
    with pytest.raises(NearfarError, match=r"one number for each of 3 y, and is \(4,\)"):
        tuba(scores, torch.zeros(4))
