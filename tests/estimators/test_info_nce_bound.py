"""InfoNCE as a bound: its ceiling, its kin, its interpolation, and N = 65536."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.estimators.bound_cases import drawn

from nearfar.errors import NearfarError, SettingError
from nearfar.estimators.gaussian import correlated_log_ratio, correlation_for
from nearfar.estimators.info_nce import info_nce_bound, interpolated
from nearfar.estimators.nwj import tuba
from nearfar.estimators.scores import ScoreMatrix, SeparableScores
from nearfar.objectives import info_nce, n_pair
from nearfar.testing.objectives import LargestTensor


@settings(max_examples=30)
@given(
    n=st.integers(2, 12),
    seed=st.integers(0, 10**6),
    log_size=st.floats(-3, 6),
    favour=st.floats(-50, 500),
)
def test_never_exceeds_log_n_for_any_scores(n, seed, log_size, favour):
    generator = torch.Generator().manual_seed(seed)
    matrix = math.exp(log_size) * torch.randn(n, n, generator=generator, dtype=torch.float64)
    matrix += favour * torch.eye(n)
    value = info_nce_bound(ScoreMatrix(matrix)).item()
    assert value <= math.log(n)
    assert math.isfinite(value)


def test_reaches_log_n_where_each_knows_its_own():
    value = info_nce_bound(ScoreMatrix(1000 * torch.eye(64, dtype=torch.float64)))
    assert value.item() == math.log(64)


def test_is_log_n_less_the_losses_of_the_objectives():
    queries, keys, _ = drawn(40, 6, 0)
    bound = info_nce_bound(SeparableScores(queries, keys)).item()
    assert bound == pytest.approx(math.log(40) - n_pair(queries, keys).item(), rel=1e-12)
    unit = torch.nn.functional.normalize
    cosines = SeparableScores(unit(queries) / 0.1, unit(keys))
    expected = math.log(40) - info_nce(queries, keys, temperature=0.1).item()
    assert info_nce_bound(cosines).item() == pytest.approx(expected, rel=1e-12)


def test_the_optimal_critic_nears_the_true_information_as_the_batch_grows():
    generator, found = torch.Generator().manual_seed(0), {}
    correlation = correlation_for(3.0, 3)
    for n in (8, 64, 2048):
        batches = []
        for _ in range(max(4, 2048 // n)):
            x, noise = torch.randn(2, n, 3, generator=generator, dtype=torch.float64)
            y = correlation * x + math.sqrt(1 - correlation**2) * noise
            batches.append(info_nce_bound(correlated_log_ratio(x, y, correlation)))
        found[n] = torch.stack(batches).mean().item()
    assert found[8] < math.log(8) < found[64] < found[2048]
    assert found[2048] == pytest.approx(3.0, abs=0.1)


def test_does_not_change_with_a_function_of_x_in_the_critic():
    queries, keys, _ = drawn(9, 3, 1)
    matrix = queries @ keys.T
    moved = matrix + torch.arange(9.0)[:, None]
    expected = info_nce_bound(ScoreMatrix(matrix)).item()
    assert info_nce_bound(ScoreMatrix(moved)).item() == pytest.approx(expected)


def test_interpolation_at_its_ends():
    queries, keys, log_baseline = drawn(9, 3, 2)
    scores = SeparableScores(queries, keys)
    expected = tuba(scores, log_baseline).item()
    assert interpolated(scores, log_baseline, 0.0).item() == pytest.approx(expected, rel=1e-10)
    # InfoNCE of a y among N − 1 of the x, each other x left out in turn.
    matrix, found = (queries @ keys.T).tolist(), []
    for j in range(9):
        for left_out in (i for i in range(9) if i != j):
            among = [math.exp(matrix[i][j]) for i in range(9) if i != left_out]
            found.append(math.log(8) + math.log(math.exp(matrix[j][j]) / sum(among)))
    value = interpolated(scores, log_baseline, 1.0).item()
    assert value == pytest.approx(sum(found) / len(found), rel=1e-10)


@pytest.mark.parametrize("alpha", [0.01, 0.5, 1.0])
def test_interpolation_has_its_ceiling(alpha):
    scores = ScoreMatrix(1000 * torch.eye(64, dtype=torch.float64))
    log_baseline = torch.zeros(64, dtype=torch.float64, requires_grad=True)
    value = interpolated(scores, log_baseline, alpha)
    assert value.item() == pytest.approx(math.log(63 / alpha))
    for other in (-5.0, 1.0, 50.0):
        assert interpolated(scores, log_baseline + other, alpha) <= 1 + math.log(63 / alpha) + 1e-9
    value.backward()
    assert torch.isfinite(log_baseline.grad).all()


def test_interpolation_of_the_optimal_critic_exceeds_info_nce_and_stays_below_the_truth():
    generator = torch.Generator().manual_seed(0)
    correlation, found = correlation_for(5.0, 5), []
    for _ in range(60):
        x, noise = torch.randn(2, 32, 5, generator=generator, dtype=torch.float64)
        y = correlation * x + math.sqrt(1 - correlation**2) * noise
        scores = correlated_log_ratio(x, y, correlation)
        ones = torch.zeros(32, dtype=torch.float64)
        found.append((info_nce_bound(scores), interpolated(scores, ones, 0.01)))
    info, mixed = (torch.stack(values).mean().item() for values in zip(*found, strict=True))
    assert info < math.log(32) < mixed < 5.0


@pytest.mark.slow
def test_65536_pairs_fit():
    queries, keys = (torch.randn(65536, 2, requires_grad=True) for _ in range(2))
    with LargestTensor() as largest:
        value = info_nce_bound(SeparableScores(queries, keys))
        value.backward()
    assert torch.isfinite(queries.grad).all()
    # The matrix would have 4.3e9 elements.
    assert largest.elements <= 2**22


def test_what_has_no_meaning_is_refused():
    scores = ScoreMatrix(torch.zeros(3, 3))
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(SettingError, match=r"alpha is .* between 0 and 1"):
            interpolated(scores, torch.zeros(3), alpha)
    with pytest.raises(NearfarError, match=r"one number for each of 3 y, and is \(4,\)"):
        interpolated(scores, torch.zeros(4))
