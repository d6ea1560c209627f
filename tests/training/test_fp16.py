"""fp16 with loss scaling: GradScaler's rule, the same bits after a resume, and honest ends."""

import math
import signal
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from test_killed import assert_same_run, metrics, weights
from test_loop import DisturbedBatches, raise_signal
from test_running_ahead import PlainSteps, moco
from tiny_run import TINY, build_method, train_tiny
from torch import nn

from nearfar.errors import SettingError
from nearfar.methods.simclr import SimCLR
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.training import late, loss_scale
from nearfar.training.ends import Diverged
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.hardware import choose_hardware
from nearfar.training.interruption import Interrupted
from nearfar.training.loss_scale import LossScale
from nearfar.training.ranks import Ranks
from nearfar.training.specs import AdamWSpec
from nearfar.training.step import Steps

HALF = replace(TINY, precision="fp16", epochs=2)  # 8 steps
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def low_first_scale(monkeypatch):
    """No step of these small networks overflows at it."""
    monkeypatch.setattr(loss_scale, "FIRST", 1024.0)


def steps_of(path):
    return [each for each in metrics(path) if each["kind"] == "step"]


def skipped(path):
    return [each["step"] for each in metrics(path) if each["kind"] == "skipped"]


def test_the_scale_moves_as_torchs_own(monkeypatch):
    monkeypatch.setattr(loss_scale, "PATIENCE", 3)
    monkeypatch.setattr(loss_scale, "FIRST", 65536.0)
    ours, weight = LossScale(CPU), nn.Parameter(torch.zeros(()))
    theirs = torch.amp.GradScaler("cpu", growth_interval=3)
    optimizer = torch.optim.SGD([weight], lr=0.0)
    draws = torch.Generator().manual_seed(0)
    for _ in range(60):
        spoilt = bool(torch.rand((), generator=draws) < 0.2)
        theirs.scale(weight * (math.inf if spoilt else 1)).backward()
        theirs.step(optimizer)
        theirs.update()
        optimizer.zero_grad()
        ours.move(torch.tensor(spoilt))
        assert ours.scale == theirs.get_scale()
    assert 0 < ours.skipped < 30


def test_it_does_not_fall_below_one_nor_rise_to_infinity(monkeypatch):
    monkeypatch.setattr(loss_scale, "PATIENCE", 1)
    scale = LossScale(CPU)
    for _ in range(40):
        scale.move(torch.tensor(True))
    assert scale.scale == 1
    assert scale.is_least
    for _ in range(200):
        scale.move(torch.tensor(False))
    assert scale.scale == 2.0**127


def test_a_run_is_that_of_float32_but_for_rounding(tmp_path):
    config = replace(HALF, epochs=1, clip_norm=0.5)
    train_tiny(tmp_path / "half", config)
    train_tiny(tmp_path / "whole", replace(config, precision="fp32"))
    for one, other in zip(steps_of(tmp_path / "half"), steps_of(tmp_path / "whole"), strict=True):
        assert one["loss_scale"] == 1024
        assert one["loss"] == pytest.approx(other["loss"], rel=0.05)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=0.3)
    assert RunFolder(tmp_path / "half").read_environment()["precision"] == "fp16"
    assert "fp16 autocast" in RunFolder(tmp_path / "half").read_environment()["hardware"]


@pytest.mark.parametrize("ahead", [0, 2])
def test_steps_that_overflow_are_skipped_counted_told_and_resumed(
    tmp_path, monkeypatch, ahead, capsys
):
    monkeypatch.setattr(loss_scale, "FIRST", 2.0**40)
    monkeypatch.setattr(loss_scale, "BACKOFF", 2.0**-9)
    monkeypatch.setitem(late.RUNS_AHEAD, "cpu", ahead)
    train_tiny(tmp_path / "whole", HALF, method=moco(), console=Console(width=1000))
    spoilt = skipped(tmp_path / "whole")
    assert spoilt[0] == 1
    assert 1 < len(spoilt) < 5
    assert f"{len(spoilt)} steps of 8 had no effect" in capsys.readouterr().out
    assert steps_of(tmp_path / "whole")[-1]["loss_scale"] == 2.0 ** (40 - 9 * len(spoilt))
    # Only steps that had an effect moved the queue and the optimiser.
    saved = weights(tmp_path / "whole")
    assert saved["method.queue.entered"] == 8 * (8 - len(spoilt))
    assert saved["optimizer.step.head.0.bias"] == 8 - len(spoilt)
    assert all(each.isfinite().all() for name, each in saved.items() if "method" in name)
    path = tmp_path / "run"
    batches = DisturbedBatches(1, raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        train_tiny(path, HALF, method=moco(), batches=batches)
    train_tiny(path, HALF, method=moco(), resume=True, console=Console(width=1000))
    assert f"{len(spoilt)} steps of 8 had no effect" in capsys.readouterr().out
    assert_same_run(path, tmp_path / "whole")


class Broken(nn.Module):
    """Gives what is not finite in some of the steps that are computed."""

    def __init__(self, encoder, steps):
        super().__init__()
        self.inner, self.num_features = encoder, encoder.num_features
        self.steps, self.calls = steps, 0

    def forward(self, batch):
        self.calls += self.training and torch.is_grad_enabled()
        features = self.inner(batch)
        return features * math.nan if self.calls in self.steps and self.training else features


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_loss_that_stays_nan_stops_the_run_once_the_scale_is_least(tmp_path, monkeypatch, ahead):
    monkeypatch.setattr(loss_scale, "FIRST", 4.0)
    monkeypatch.setitem(late.RUNS_AHEAD, "cpu", ahead)
    method = build_method()
    method.encoder = Broken(method.encoder, range(2, 99))
    with pytest.raises(Diverged) as caught:
        train_tiny(tmp_path / "run", HALF, method=method)
    assert "stopped at step 4 (epoch 1): the loss is nan at a loss scale of 1;" in str(caught.value)
    assert "there is no checkpoint yet" in str(caught.value)
    assert skipped(tmp_path / "run") == [2, 3]
    assert [each["loss_scale"] for each in metrics(tmp_path / "run")[:3]] == [4, 4, 2]
    assert metrics(tmp_path / "run")[-1]["kind"] == "not_finite"
    assert all(each.isfinite().all() for each in method.state_dict().values())


def test_one_spoilt_batch_costs_a_step_and_no_more(tmp_path):
    method = build_method()
    method.encoder = Broken(method.encoder, [3])
    train_tiny(tmp_path / "run", HALF, method=method)
    assert skipped(tmp_path / "run") == [3]
    assert len(steps_of(tmp_path / "run")) == 7
    assert steps_of(tmp_path / "run")[-1]["loss_scale"] == 512
    assert all(each.isfinite().all() for each in method.state_dict().values())


def test_gradients_of_parts_are_scaled_too():
    class Rows(nn.Module):
        num_features = 16

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, batch):
            return self.layer(batch)

    torch.manual_seed(0)
    method = SimCLR(SimCLRSpec(projection_hidden=8, projection_dim=4), Rows()).double().eval()
    views = tuple(torch.randn(2, 6, 16, dtype=torch.float64).unbind())
    loss = method(views)
    loss.backward()
    plain = [each.grad for each in method.parameters()]
    method.zero_grad()
    scale = torch.tensor(8.0)
    parts = cached_gradients(method, views, None, 3, scale=scale)
    torch.testing.assert_close(parts, loss.detach())
    for one, each in zip(plain, method.parameters(), strict=True):
        torch.testing.assert_close(each.grad, 8 * one)


def test_an_optimiser_that_cannot_skip_a_step_is_refused():
    method = build_method()
    with pytest.raises(SettingError, match="PlainSteps cannot pass over steps that overflow"):
        Steps(
            method,
            PlainSteps(method.parameters()),
            choose_hardware("cpu", "fp16"),
            replace(HALF, optimizer=AdamWSpec()),
            Ranks(),
            None,
            None,
        )


def test_a_run_goes_on_in_another_precision_and_says_so(tmp_path, capsys):
    path = tmp_path / "run"
    batches = DisturbedBatches(1, raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        train_tiny(path, replace(HALF, precision="fp32"), batches=batches)
    train_tiny(path, HALF, resume=True, console=Console(width=1000))
    assert "made with fp16 None, this is True" in capsys.readouterr().out
    assert steps_of(path)[-1]["loss_scale"] == 1024
