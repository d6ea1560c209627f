"""Every bound is trained and read as its spec says."""

import math
import subprocess
import sys

import pytest
import torch
from tests.estimators.bound_cases import drawn

from nearfar.errors import SettingError
from nearfar.estimators.donsker_varadhan import donsker_varadhan
from nearfar.estimators.gaussian import correlated_log_ratio, correlation_for
from nearfar.estimators.info_nce import info_nce_bound, interpolated
from nearfar.estimators.jensen_shannon import jensen_shannon, jensen_shannon_information, smile
from nearfar.estimators.nwj import nwj, tuba
from nearfar.estimators.scores import ScoreMatrix, SeparableScores
from nearfar.estimators.specs import BoundSpec, critic_bounds

EXPECTED = {
    "donsker_varadhan": (donsker_varadhan, donsker_varadhan),
    "mine": (donsker_varadhan, donsker_varadhan),
    "nwj": (nwj, nwj),
    "tuba": (tuba, tuba),
    "jensen_shannon": (jensen_shannon, jensen_shannon_information),
    "smile": (jensen_shannon, smile),
    "info_nce": (info_nce_bound, info_nce_bound),
    "interpolated": (interpolated, interpolated),
}
BOUNDS = critic_bounds()
each_bound = pytest.mark.parametrize("name", BOUNDS)


def needed(bound):
    """What its objective is given besides the scores, of 64 pairs."""
    baseline = torch.zeros(64, dtype=torch.float64) if bound.needs_baseline else None
    average = torch.zeros((), dtype=torch.float64) if bound.needs_moving_average else None
    return baseline, average


def test_the_bounds_of_critics_are_all_but_that_of_a_classifier():
    assert list(BOUNDS) == list(EXPECTED)
    assert set(BoundSpec.known()) - set(BOUNDS) == {"barber_agakov"}


@each_bound
def test_is_trained_and_read_as_expected_and_needs_what_it_says(name):
    bound, (objective, estimate) = BOUNDS[name], EXPECTED[name]
    queries, keys, _ = drawn(64, 3, 0)
    scores = SeparableScores(queries, keys)
    baseline, average = needed(bound)
    more = () if baseline is None else (baseline,)
    value = bound.objective(scores, baseline, average).item()
    assert value == pytest.approx(objective(scores, *more).item())
    assert bound.estimate(scores, baseline).item() == pytest.approx(estimate(scores, *more).item())


@pytest.mark.parametrize("name", [n for n, bound in BOUNDS.items() if bound.needs_baseline])
def test_what_needs_a_baseline_says_so(name):
    scores = ScoreMatrix(torch.zeros(3, 3))
    for call in (
        lambda: BOUNDS[name].objective(scores, None, None),
        lambda: BOUNDS[name].estimate(scores, None),
    ):
        with pytest.raises(SettingError, match=f"{name} needs a log_baseline"):
            call()


def test_mine_needs_its_moving_average_to_train_and_not_to_be_read():
    scores = ScoreMatrix(torch.zeros(3, 3))
    with pytest.raises(SettingError, match="mine needs a log_moving_average"):
        BOUNDS["mine"].objective(scores, None, None)
    assert BOUNDS["mine"].estimate(scores, None).item() == 0


@each_bound
def test_the_limit_of_the_batch_is_as_stated(name):
    bound = BOUNDS[name]
    scores = ScoreMatrix(7.0 * torch.eye(64, dtype=torch.float64))
    value = bound.estimate(scores, needed(bound)[0]).item()
    assert (value <= math.log(64)) == bound.limited_by_batch


@pytest.fixture(scope="module")
def small_batches():
    """Scores of the optimal critic for 2.5 nats in batches of 6, whose bias is plain."""
    generator = torch.Generator().manual_seed(0)
    correlation, batches = correlation_for(2.5, 2), []
    for _ in range(400):
        x, noise = torch.randn(2, 6, 2, generator=generator, dtype=torch.float64)
        y = correlation * x + math.sqrt(1 - correlation**2) * noise
        best = correlated_log_ratio(x, y, correlation)
        batches.append(best.queries @ best.keys.T)
    return batches


@each_bound
def test_a_valid_bound_is_on_average_below_the_truth_and_others_can_be_above(name, small_batches):
    bound, shift = BOUNDS[name], float(name == "nwj")
    baseline = torch.zeros(6, dtype=torch.float64) if bound.needs_baseline else None
    values = [bound.estimate(ScoreMatrix(matrix + shift), baseline) for matrix in small_batches]
    estimates = torch.stack(values)
    error = estimates.std().item() / math.sqrt(len(estimates))
    if bound.valid_bound:
        assert estimates.mean().item() < 2.5 + 4 * error
    else:
        assert estimates.mean().item() > 2.5 + 4 * error


def test_specs_do_not_wait_for_torch():
    code = "import sys, nearfar.estimators.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
