"""A loop that reads loss and gradients some steps late: the same run, and nothing spoilt.

On the CPU a loop reads at once; here it is told to be late there, as it is on CUDA.
"""

import math
import signal
from dataclasses import replace

import pytest
import torch
from test_killed import assert_same_run, metrics
from test_loop import DisturbedBatches, raise_signal
from test_online_probe import probe, train_beside
from test_training_ranks import shared_batches, state_of
from tiny_run import TINY, build_method, train_tiny
from torch import nn

from nearfar.data.batches import TrainingBatches
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.methods.unlabelled_specs import MoCoSpec
from nearfar.spec import as_spec
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import random_images as images
from nearfar.training import late
from nearfar.training.ends import Diverged
from nearfar.training.guard import divide_gradients
from nearfar.training.interruption import Interrupted
from nearfar.training.late import Late
from nearfar.training.optimizers import LARS
from nearfar.training.specs import OptimizerSpec
from nearfar.training.state import TrainingState

LATE = 3
SHORT = replace(TINY, epochs=2, batch_size=4, ema=0.9, clip_norm=0.5)
STEPS = 8  # of an epoch
OPTIMISERS = ("adamw", "sgd", "lars")


@pytest.fixture
def ahead(monkeypatch):
    monkeypatch.setitem(late.RUNS_AHEAD, "cpu", LATE)


def moco(wrapped=lambda encoder: encoder) -> nn.Module:
    """Batch-norm, a momentum encoder and a queue: all that a step changes beside its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = SmallResNetSpec(width=4).build((1, 8, 8))
        return MoCoSpec(projection_hidden=8, projection_dim=4, queue_size=16).build(
            wrapped(encoder)
        )


def with_optimizer(name: str):
    return replace(SHORT, optimizer=as_spec(OptimizerSpec, {"name": name}))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_loop_that_is_ahead_comes_to_the_same_bits(tmp_path, monkeypatch, name):
    config = replace(with_optimizer(name), epochs=1)
    train_tiny(tmp_path / "at-once", config, method=moco())
    monkeypatch.setitem(late.RUNS_AHEAD, "cpu", LATE)
    train_tiny(tmp_path / "ahead", config, method=moco())
    assert_same_run(tmp_path / "ahead", tmp_path / "at-once")
    steps = [each["step"] for each in metrics(tmp_path / "ahead") if each["kind"] == "step"]
    assert steps == [*range(1, STEPS + 1)]


def test_so_does_one_with_a_probe(tmp_path, monkeypatch):
    config = replace(TINY, epochs=2)
    train_beside(tmp_path / "at-once", probe(), config=config)
    monkeypatch.setitem(late.RUNS_AHEAD, "cpu", LATE)
    train_beside(tmp_path / "ahead", probe(), config=config)
    assert_same_run(tmp_path / "ahead", tmp_path / "at-once")


def test_a_signal_stops_it_where_it_is_and_it_goes_on(tmp_path, ahead):
    config = replace(TINY, epochs=2)
    train_tiny(tmp_path / "whole", config, method=moco())
    batches = DisturbedBatches(5, raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted, match="after step 6 of 8"):
        train_tiny(tmp_path / "run", config, method=moco(), batches=batches)
    assert metrics(tmp_path / "run")[-1]["step"] == 6
    train_tiny(tmp_path / "run", config, method=moco(), resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


class Broken(nn.Module):
    """An encoder whose features are not finite, or have no finite gradient, in one step."""

    def __init__(self, encoder, step, what):
        super().__init__()
        self.inner, self.num_features = encoder, encoder.num_features
        self.step, self.what, self.calls = step, what, 0

    def forward(self, batch):
        features = self.inner(batch)
        self.calls += self.training and torch.is_grad_enabled()
        if self.calls != self.step or not torch.is_grad_enabled():
            return features
        return features * math.nan if self.what == "loss" else features + (0 * features).sqrt()


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(("broken", "what"), [(10, "loss"), (1, "gradient")])
def test_nothing_is_touched_by_a_step_that_is_not_finite_or_by_those_after_it(
    tmp_path, ahead, monkeypatch, name, broken, what
):
    states = []
    init = TrainingState.__init__
    monkeypatch.setattr(
        TrainingState,
        "__init__",
        lambda self, *given: (init(self, *given), states.append(self))[0],
    )

    def everything() -> dict[str, torch.Tensor]:
        """All that a checkpoint holds but the random draws, which the steps ahead have made."""
        taken = states[-1].take(0).tensors.items()
        return {each: value.clone() for each, value in taken if "generator" not in each}

    before = {}
    method = moco(lambda encoder: Broken(encoder, broken, what))
    begun = []

    class Watched(TrainingBatches):
        def epoch(self, number, first_step=0):
            for batch in super().epoch(number, first_step):
                begun.append(batch[2].tolist())
                if len(begun) == broken:
                    before.update(everything())
                yield batch

    batches = Watched(images(), None, batch_size=4, seed=3, device="cpu")
    with pytest.raises(Diverged) as caught:
        train_tiny(tmp_path / "run", with_optimizer(name), method=method, batches=batches)
    assert len(begun) == broken + LATE
    named = ", ".join(map(str, begun[broken - 1]))
    said = str(caught.value)
    assert f"stopped at step {broken} (epoch {1 + (broken > STEPS)})" in said
    assert f"training images {named};" in said
    assert ("the loss is nan" if what == "loss" else "the gradient is not finite") in said
    last = metrics(tmp_path / "run")[-1]
    assert (last["kind"], last["step"], last["examples"]) == (
        "not_finite",
        broken,
        begun[broken - 1],
    )
    assert sum(each["kind"] == "step" for each in metrics(tmp_path / "run")) == broken - 1
    after = everything()
    # What an optimiser makes in its first step is as if that had not been.
    made = {each: torch.zeros_like(value) for each, value in after.items() if each not in before}
    assert broken == 1 or not made
    torch.testing.assert_close(after, before | made, rtol=0, atol=0)


class PlainSteps(torch.optim.Optimizer):
    """An optimiser of somebody else's, that knows nothing of steps that are given up."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.sub_(group["lr"] * weight.grad)


def test_an_optimiser_that_cannot_give_up_a_step_is_waited_for(tmp_path, ahead, monkeypatch):
    monkeypatch.setattr(
        type(SHORT.optimizer), "build", lambda self, module: PlainSteps(module.parameters())
    )
    method = build_method()
    method.encoder = Broken(method.encoder, 3, "loss")
    with pytest.raises(Diverged, match="step 3 "):
        train_tiny(tmp_path / "run", replace(SHORT, epochs=1), method=method)
    assert method.encoder.calls == 3
    assert all(each.isfinite().all() for each in method.parameters())


def break_on_one_rank(rank, world, path):
    late.RUNS_AHEAD["cpu"] = LATE
    method = moco(lambda encoder: Broken(encoder, 3 if rank == 1 else 0, "loss"))
    with pytest.raises(Diverged) as caught:
        train_tiny(path, replace(SHORT, batch_size=8), method=method, batches=shared_batches())
    return str(caught.value), state_of(method)


@pytest.mark.slow
def test_ranks_that_are_ahead_stop_at_the_same_step(tmp_path):
    found = run_on_ranks(2, break_on_one_rank, tmp_path / "ranks", tmp_path / "run")
    (said, state), (also_said, other) = found
    assert said == also_said
    assert "stopped at step 3 (epoch 1): the loss is nan" in said
    torch.testing.assert_close(state, other, rtol=0, atol=0)
    assert all(value.isfinite().all() for value in state.values())


def test_clipping_on_the_device_is_a_division_of_the_gradient():
    slow, fast = nn.Linear(3, 2), nn.Linear(3, 2)
    fast.load_state_dict(slow.state_dict())
    for module in (slow, fast):
        module(torch.ones(4, 3)).square().sum().backward()
    for parameter in slow.parameters():
        assert parameter.grad is not None
        parameter.grad /= 7
    one, other = LARS(slow.parameters(), lr=0.1), LARS(fast.parameters(), lr=0.1)
    divide_gradients(other, list(fast.parameters()), torch.tensor(7.0))
    one.step()
    other.step()
    torch.testing.assert_close(fast.state_dict(), slow.state_dict())


def test_on_the_cpu_nothing_is_late():
    tensor = torch.arange(3.0)
    assert Late([tensor]).read()[0].tolist() == [0, 1, 2]
