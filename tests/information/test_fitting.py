import copy

import pytest
import torch
from gaussians import gaussian_pairs

from nearfar.estimators.specs import critic_bounds
from nearfar.information import fitting
from nearfar.information.critics import Perceptron, build_critic, side_of
from nearfar.information.fitting import BoundLearner, fit
from nearfar.information.samples import Samples, split
from nearfar.information.specs import CriticSpec

BOUNDS = critic_bounds()
CONFIG = CriticSpec(hidden=16, layers=1, embedding_dim=4)
SAMPLES = Samples(*(torch.from_numpy(side).float() for side in gaussian_pairs(400, 1, 1.0)), None)
PARTS = split(400, 16, 0)


def learner_of(name):
    torch.manual_seed(0)
    x, z = side_of(SAMPLES.x[PARTS.training], None), side_of(SAMPLES.z[PARTS.training], None)
    baseline = Perceptron(z, CONFIG, 1) if BOUNDS[name].needs_baseline else None
    return BoundLearner(BOUNDS[name], build_critic(CONFIG, x, z), baseline)


def fitted(learner, *, max_steps=30, samples=SAMPLES, learning_rate=1e-2, seed=0):
    return fit(
        learner,
        samples,
        PARTS,
        batch_size=16,
        max_steps=max_steps,
        learning_rate=learning_rate,
        seed=seed,
        tell=lambda step, value: None,
    )


def test_training_never_reads_the_test_part():
    spoilt = copy.deepcopy(SAMPLES)
    spoilt.x[PARTS.test] = float("nan")
    spoilt.z[PARTS.test] = float("nan")
    whole, without = fitted(learner_of("info_nce")), fitted(learner_of("info_nce"), samples=spoilt)
    assert without.curve == whole.curve
    assert without.broke_at is None


def test_validation_decides_but_gives_no_gradient(monkeypatch):
    monkeypatch.setattr(fitting, "CHECK_EVERY", 40)
    monkeypatch.setattr(fitting, "_FEWEST_LOOKS", 1)
    unrelated = copy.deepcopy(SAMPLES)
    unrelated.z[PARTS.validation] = unrelated.z[PARTS.validation].flip(0)
    trained = []
    for samples, best_step in [(SAMPLES, 40), (unrelated, 0)]:
        learner, states = learner_of("info_nce"), []
        result = fit(
            learner,
            samples,
            PARTS,
            batch_size=16,
            max_steps=40,
            learning_rate=1e-2,
            seed=0,
            tell=lambda step, value, learner=learner, states=states: states.append(
                copy.deepcopy(learner.state_dict())
            ),
        )
        assert result.best_step == best_step
        trained.append(states[-1])
    torch.testing.assert_close(trained[0], trained[1], rtol=0, atol=0)


def test_it_stops_when_nothing_is_gained_and_keeps_the_best(monkeypatch):
    monkeypatch.setattr(fitting, "CHECK_EVERY", 5)
    monkeypatch.setattr(fitting, "PATIENCE", 3)
    learner = learner_of("info_nce")
    result = fitted(learner, max_steps=2000, learning_rate=5e-2)
    assert result.steps < 2000
    assert result.steps == result.best_step + 15
    best = dict(result.curve)[result.best_step]
    assert best == max(value for _, value in result.curve)
    held_out = fitting.batches(PARTS.validation, 16)
    kept = fitting.estimates_on(result.learner, SAMPLES, held_out).mean()
    assert float(kept) == pytest.approx(best, abs=1e-6)


def test_training_that_is_no_longer_finite_ends_and_says_where():
    spoilt = copy.deepcopy(SAMPLES)
    spoilt.x[PARTS.training[3]] = float("nan")
    learner = learner_of("info_nce")
    result = fitted(learner, samples=spoilt)
    assert result.broke_at is not None
    assert result.steps == result.broke_at
    assert all(parameter.isfinite().all() for parameter in result.learner.parameters())


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_learns(name):
    result = fitted(learner_of(name), max_steps=60)
    assert result.best_step > 0
    assert dict(result.curve)[result.best_step] > result.curve[0][1] + 0.05


def test_mines_average_is_moved_by_training_alone():
    learner = learner_of("mine")
    x, z = SAMPLES.x[:16], SAMPLES.z[:16]
    learner.eval()
    learner.objective(x, z)
    assert learner._log_moving_average is None
    learner.train()
    learner.objective(x, z)
    once = learner._log_moving_average
    learner.eval()
    learner.objective(x[:8], z[:8])
    assert learner._log_moving_average is once
    learner.train()
    learner.objective(x[:8], z[:8])
    of_batch = learner.critic(x[:8], z[:8]).unpaired_logsumexp().exp().mean() / 7
    expected = 0.99 * once.exp() + 0.01 * of_batch
    torch.testing.assert_close(learner._log_moving_average.exp(), expected.detach())
