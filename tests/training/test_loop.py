import errno
import math
import os
import signal
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_killed import FORKS, assert_same_run, metrics, weights
from tiny_run import TINY, build_method, images, train_tiny
from torch import nn

from nearfar.data.batches import TrainingBatches
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.method import Method
from nearfar.run_folder.folder import RunFolder
from nearfar.training import step_log
from nearfar.training.interruption import Interrupted, StopSignals
from nearfar.training.schedules import CosineSpec, DropsSpec
from nearfar.training.specs import AdamWSpec, SGDSpec
from nearfar.views.specs import DigitsViewsSpec

same_run = assert_same_run
STEPS = 4  # an epoch: 33 images in batches of 8, the last one left out


class DisturbedBatches(TrainingBatches):
    """Real batches, with something done just before one step."""

    def __init__(self, at_step: int, act):
        super().__init__(images(), None, batch_size=8, seed=3, device="cpu")
        self.at_step, self.act = at_step, act

    def epoch(self, number, first_step=0):
        for step, batch in enumerate(super().epoch(number, first_step), start=first_step):
            if number * STEPS + step == self.at_step:
                self.act()
            yield batch


def raise_signal(number: signal.Signals):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    return path, train_tiny(path)


def test_it_trains_every_step_of_every_epoch(whole):
    path, method = whole
    steps = [record for record in metrics(path) if record["kind"] == "step"]
    assert [record["step"] for record in steps] == list(range(1, TINY.epochs * STEPS + 1))
    assert [record["epoch"] for record in steps] == [step / STEPS for step in range(1, 25)]
    assert [record["learning_rate"] for record in steps] == [
        TINY.schedule.rate_at(step, peak=1e-3, total_steps=6 * STEPS) for step in range(24)
    ]
    knn = [record for record in metrics(path) if record["kind"] == "knn"]
    assert [(record["step"], record["epoch"]) for record in knn] == [(8, 2), (16, 4), (24, 6)]
    fresh = build_method().state_dict()
    for name, value in method.state_dict().items():
        assert torch.equal(value, weights(path)[f"method.{name}"])
        assert not torch.equal(value, fresh[name]), name


def test_the_run_can_be_repeated_and_depends_on_the_seed(whole, tmp_path):
    path, _ = whole
    torch.manual_seed(99)
    train_tiny(tmp_path / "again")
    same_run(tmp_path / "again", path)
    train_tiny(tmp_path / "other", seed=4)
    assert metrics(tmp_path / "other") != metrics(path)


def test_what_a_method_measures_is_logged_now_and_then_and_last(whole, tmp_path, monkeypatch):
    """Measuring costs a small network an eighth of a step; it changes nothing of the training."""
    monkeypatch.setattr(step_log, "MOST_MEASURED", 5)
    train_tiny(tmp_path / "run")
    steps = [each for each in metrics(tmp_path / "run") if each["kind"] == "step"]
    assert len(steps) == 24
    assert [each["step"] for each in steps if "uniformity" in each] == [5, 10, 15, 20, 24]
    every = [each for each in metrics(whole[0]) if each["kind"] == "step"]
    assert all("uniformity" in each for each in every)
    assert [each["loss"] for each in steps] == [each["loss"] for each in every]


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
@pytest.mark.parametrize(
    ("at_step", "number"), [(0, "SIGINT"), (5, "SIGTERM"), (7, "SIGHUP"), (2, "SIGUSR1")]
)
def test_a_signal_finishes_the_step_and_the_run_goes_on_to_the_same_bits(
    tmp_path, name, at_step, number
):
    config = replace(TINY, optimizer=name, epochs=3, clip_norm=0.5)
    train_tiny(tmp_path / "whole", config)
    batches = DisturbedBatches(at_step, raise_signal(signal.Signals[number]))
    path = tmp_path / "a cut run"
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        train_tiny(path, config, batches=batches)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert (
        caught.value.exit_code
        == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 138}[number]
    )
    assert f"after step {at_step + 1} of 12" in str(caught.value)
    assert f"nearfar train --resume '{path}'" in str(caught.value)
    assert metrics(path)[-1]["step"] == at_step + 1
    method = train_tiny(path, config, resume=True)
    same_run(path, tmp_path / "whole")
    for key, value in method.state_dict().items():
        assert torch.equal(value, weights(path)[f"method.{key}"])
    environment = RunFolder(path).read_environment()
    assert environment["resumed_at_steps"] == [at_step + 1]
    assert 0 < environment["seconds"] < 60


def test_a_second_notice_does_not_kill():
    with StopSignals(quiet=True) as stop:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
    assert stop.received == signal.SIGUSR1


def test_a_signal_during_the_knn_check_comes_after_it(tmp_path, whole):
    batches = DisturbedBatches(7, lambda: None)
    method = build_method()
    path = tmp_path / "run"

    class Signalled(nn.Module):
        """The encoder, sending a signal when it is judged."""

        def __init__(self, encoder):
            super().__init__()
            self.inner = encoder

        def forward(self, batch):
            if not self.training and not (path / "sent").exists():
                (path / "sent").touch()
                os.kill(os.getpid(), signal.SIGTERM)
            return self.inner(batch)

    method.encoder = Signalled(method.encoder)
    with pytest.raises(Interrupted, match="after step 8 of 24"):
        train_tiny(path, batches=batches, method=method)
    assert [record["kind"] for record in metrics(path)].count("knn") == 1
    again = build_method()
    again.encoder = Signalled(again.encoder)
    train_tiny(path, resume=True, method=again)
    assert metrics(path) == metrics(whole[0])


def killed_twice(path):
    def act():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    train_tiny(path, batches=DisturbedBatches(6, act))


def test_a_second_signal_kills_at_once_and_the_run_still_goes_on(tmp_path, whole):
    path = tmp_path / "run"
    process = FORKS.Process(target=killed_twice, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGTERM
    train_tiny(path, resume=True)
    same_run(path, whole[0])


def test_bf16_and_channels_last_resume_to_the_same_bits_too(tmp_path):
    config = replace(TINY, precision="bf16", epochs=2)
    train_tiny(tmp_path / "whole", config)
    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_tiny(path, config, batches=DisturbedBatches(2, raise_signal(signal.SIGINT)))
    train_tiny(path, config, resume=True)
    same_run(path, tmp_path / "whole")
    assert RunFolder(path).read_environment()["bf16"]


def test_a_rate_that_drops_goes_on_to_the_same_bits(tmp_path):
    config = replace(TINY, schedule=DropsSpec(warmup_share=0.0, epochs=(1.0, 2.0)), epochs=3)
    train_tiny(tmp_path / "whole", config)
    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_tiny(path, config, batches=DisturbedBatches(5, raise_signal(signal.SIGINT)))
    train_tiny(path, config, resume=True)
    same_run(path, tmp_path / "whole")
    rates = [record["learning_rate"] for record in metrics(path) if record["kind"] == "step"]
    assert rates == pytest.approx([1e-3] * 4 + [1e-4] * 4 + [1e-5] * 4)


class Dropout(Method):
    """A method that draws from torch's global generator, which a checkpoint must hold too."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
        self.tied = self.encoder[1]
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.progress = []

    def embed(self, views):
        self.calls += 1
        first, second = (nn.functional.dropout(self.encoder(view), 0.5) for view in views)
        return first, second

    def loss(self, embedded, labels=None):
        first, second = embedded
        return (first - second).square().mean()

    def after_step(self, progress):
        self.progress.append(progress)


def dropout_method() -> Dropout:
    torch.manual_seed(0)
    return Dropout()


def test_a_method_of_ones_own_trains_and_resumes(tmp_path):
    whole = train_tiny(tmp_path / "whole", method=dropout_method())
    assert whole.progress == [step / 24 for step in range(24)]
    path = tmp_path / "run"
    batches = DisturbedBatches(9, raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted):
        train_tiny(path, batches=batches, method=dropout_method())
    resumed = train_tiny(path, resume=True, method=dropout_method())
    same_run(path, tmp_path / "whole")
    assert resumed.calls == 24
    assert resumed.progress[0] == 10 / 24


class Broken(Dropout):
    """Gives a loss, or a gradient, that is not finite, at one step."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, views, labels=None):
        loss = super().forward(views)
        if self.calls == 11:
            loss = loss * math.inf if self.what == "loss" else loss + (0 * loss).sqrt()
        return loss


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_the_run_and_spoils_nothing(tmp_path, what):
    path = tmp_path / "run"
    broken = Broken(what)
    with pytest.raises(NearfarError) as caught:
        train_tiny(path, method=broken)
    said = str(caught.value)
    assert "stopped at step 11 (epoch 3)" in said
    assert what in said
    assert "the last good checkpoint is that of step 8" in said
    batches = TrainingBatches(images(), None, batch_size=8, seed=3, device="cpu")
    examples = list(batches.epoch(2))[2][2].tolist()
    assert f"training images {', '.join(map(str, examples))};" in said
    assert metrics(path)[-1] == {
        "kind": "not_finite",
        "step": 11,
        "epoch": 2.75,
        "examples": examples,
    }
    assert all(value.isfinite().all() for value in weights(path).values())
    assert all(parameter.isfinite().all() for parameter in broken.parameters())
    train_tiny(path, method=Dropout(), resume=True)
    assert metrics(path)[-1]["step"] == 24


def test_a_full_disk_stops_the_run_and_says_what_is_left(tmp_path, monkeypatch, whole):
    path = tmp_path / "run"
    real = os.fsync

    def full(descriptor):
        if "step-00000012" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NearfarError) as caught:
        train_tiny(path)
    monkeypatch.undo()
    assert "No space left on device; the last good checkpoint is that of step 8" in str(
        caught.value
    )
    assert f"nearfar train --resume {path}" in str(caught.value)
    train_tiny(path, resume=True)
    same_run(path, whole[0])


def test_a_damaged_checkpoint_is_passed_over_and_both_are_named(tmp_path, whole, capsys):
    from rich.console import Console

    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_tiny(path, batches=DisturbedBatches(13, raise_signal(signal.SIGINT)))
    newest = path / "checkpoints" / "step-00000014.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    console = Console(width=1000)
    train_tiny(path, resume=True, console=console)
    said = capsys.readouterr().out
    assert f"damaged checkpoint passed over: {newest} (checksum" in said
    assert f"using {path / 'checkpoints' / 'step-00000012.safetensors'}" in said
    assert "going on after step 12 of 24" in said
    same_run(path, whole[0])


def test_a_finished_run_says_so_and_gives_its_weights(whole, tmp_path, capsys):
    from rich.console import Console

    path, trained = whole
    before = metrics(path)
    method = train_tiny(path, resume=True, console=Console(width=1000))
    assert "is trained already: all 6 epochs are done" in capsys.readouterr().out
    assert metrics(path) == before
    for name, value in trained.state_dict().items():
        assert torch.equal(value, method.state_dict()[name])


def test_events_are_the_metrics_and_never_doubled(tmp_path, whole):
    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_tiny(path, batches=DisturbedBatches(7, raise_signal(signal.SIGINT)))
    process = FORKS.Process(target=killed_twice_later, args=(path,))
    process.start()
    process.join()
    train_tiny(path, resume=True)
    for run in (path, whole[0]):
        events = EventAccumulator(str(run / "tensorboard"))
        events.Reload()
        for kind, tag, name in [("step", "train/loss", "loss"), ("knn", "knn/top1", "top1")]:
            found = [(event.step, event.value) for event in events.Scalars(tag)]
            expected = [(r["step"], r[name]) for r in metrics(run) if r["kind"] == kind]
            assert [step for step, _ in found] == [step for step, _ in expected]
            assert [v for _, v in found] == pytest.approx([v for _, v in expected])


def killed_twice_later(path):
    def act():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    train_tiny(path, resume=True, batches=DisturbedBatches(14, act))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_tiny(path, batches=DisturbedBatches(5, raise_signal(signal.SIGINT)))
    with pytest.raises(NearfarError, match=r"made with optimizer.learning_rate 0.001, not 0.5"):
        train_tiny(path, replace(TINY, optimizer=AdamWSpec(learning_rate=0.5)), resume=True)
    with pytest.raises(NearfarError, match=r"made with seed 3, not 4"):
        train_tiny(path, resume=True, seed=4)
    with pytest.raises(NearfarError, match="does not fit this configuration"):
        train_tiny(path, resume=True, method=Dropout())


def test_a_folder_with_checkpoints_is_not_trained_over(whole):
    path, _ = whole
    batches = TrainingBatches(images(), None, batch_size=8, seed=3, device="cpu")
    from nearfar.training.loop import train

    views = DigitsViewsSpec().build((1, 8, 8), mean=(0.5,), std=(0.5,))
    with pytest.raises(NearfarError, match="holds checkpoints of a run"):
        train(build_method(), views, batches, TINY, RunFolder(path), seed=3)
    with pytest.raises(SettingError, match="epochs"):
        train(build_method(), views, batches, replace(TINY, epochs=0), RunFolder(path), seed=3)


def hold(path, held, done):
    with RunFolder(path).held():
        held.set()
        done.wait()


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    RunFolder.create(tmp_path / "run")
    held, done = FORKS.Event(), FORKS.Event()
    process = FORKS.Process(target=hold, args=(tmp_path / "run", held, done))
    process.start()
    held.wait()
    with pytest.raises(NearfarError, match="another process is training in"):
        train_tiny(tmp_path / "run", resume=True)
    done.set()
    process.join()
    train_tiny(tmp_path / "run", replace(TINY, epochs=2), resume=True)


def test_clipping_bounds_the_step(tmp_path):
    config = replace(
        TINY,
        optimizer=SGDSpec(momentum=0.0, weight_decay=0.0, learning_rate=1.0),
        epochs=1,
        schedule=CosineSpec(warmup_share=0.0),
        clip_norm=0.01,
        knn_every=0,
    )
    before = build_method().state_dict()
    method = train_tiny(tmp_path / "run", config)
    moved = torch.cat(
        [(p.detach() - before[name]).flatten() for name, p in method.named_parameters()]
    )
    rates = [record["learning_rate"] for record in metrics(tmp_path / "run")]
    assert all(record["gradient_norm"] > 0.01 for record in metrics(tmp_path / "run"))
    assert 0 < moved.norm() <= 0.01 * sum(rates) * 1.001
