"""Ranks that train together: one process's run on the global batch, its state, its ends."""

import functools
import io
import math
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from test_killed import assert_same_run, metrics, weights
from tiny_run import TINY, build_method, images, train_tiny
from torch import nn

from nearfar.data.batches import TrainingBatches
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.simclr import SimCLR
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import as_spec
from nearfar.testing import run_on_ranks
from nearfar.training.averaging import StepAverage
from nearfar.training.ranks import Ranks
from nearfar.training.schedules import CosineSpec
from nearfar.training.specs import OptimizerSpec

same_run = assert_same_run
SHORT = replace(TINY, epochs=2, schedule=CosineSpec(warmup_share=0.5))
STEPS = 8


class RowByRow(nn.Module):
    """An encoder without batch-norm, in float64."""

    num_features = 16

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 16)
        )

    def forward(self, batch):
        return self.layers(batch.double())


def row_by_row_simclr(seed: int = 1) -> SimCLR:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        method = SimCLR(SimCLRSpec(projection_hidden=8, projection_dim=4), RowByRow())
        method.projection = nn.Linear(16, 4)
        return method.double()


def plain_views(batch, generator):
    """Two views without a draw: the images and their mirror images."""
    scaled = batch.double() / 255 - 0.5
    return scaled, scaled.flip(3)


def shared_batches(at_step: int | None = None, act=None) -> TrainingBatches:
    """This rank's batches, with something done before one step."""
    ranks = Ranks.now()

    class Disturbed(TrainingBatches):
        def epoch(self, number, first_step=0):
            for step, batch in enumerate(super().epoch(number, first_step), start=first_step):
                if number * self.steps_per_epoch + step == at_step:
                    act()
                yield batch

    return Disturbed(
        images(), None, batch_size=8, seed=3, device="cpu", rank=ranks.rank, ranks=ranks.count
    )


def state_of(method: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in method.state_dict().items()}


def train_row_by_row(rank, world, path, config):
    # The first rank's parameters are everybody's, whatever the others were built with.
    method = row_by_row_simclr(seed=1 + rank)
    train_tiny(path, config, method=method, views=plain_views, batches=shared_batches())
    return state_of(method)


@pytest.mark.parametrize(
    ("optimizer", "micro_batch_size", "ranks"),
    [("sgd", None, 2), ("lars", None, 4), ("sgd", 3, 2), ("lars", 1, 2), ("sgd", 1, 4)],
)
def test_ranks_come_to_the_parameters_of_one_process(tmp_path, optimizer, micro_batch_size, ranks):
    config = replace(
        SHORT,
        optimizer=as_spec(OptimizerSpec, {"name": optimizer, "learning_rate": 0.1}),
        micro_batch_size=micro_batch_size,
        clip_norm=0.5,
    )
    whole = train_row_by_row(0, 1, tmp_path / "whole", config)
    found = run_on_ranks(ranks, train_row_by_row, tmp_path / "ranks", tmp_path / "shared", config)
    for state in found:
        torch.testing.assert_close(state, whole, rtol=0, atol=1e-10)
    for one, other in zip(metrics(tmp_path / "shared"), metrics(tmp_path / "whole"), strict=True):
        assert one.pop("kind") == other.pop("kind")
        assert one == pytest.approx(other, rel=1e-6)
    start = row_by_row_simclr().state_dict()
    assert all(not torch.equal(whole[name], start[name]) for name in start)


def train_on_ranks(rank, world, path, resume, interrupt_at):
    """SimCLR with batch-norm, random views, and dropout before the encoder."""
    method = build_method(seed=rank)
    method.encoder = with_dropout(method.encoder)
    stop = functools.partial(os.kill, os.getpid(), signal.SIGTERM)
    batches = shared_batches(interrupt_at if rank == 1 else None, stop)
    ended = ""
    try:
        train_tiny(path, SHORT, resume=resume, method=method, batches=batches)
    except NearfarError as error:
        ended = f"{error.exit_code} {error}"
    return ended, state_of(method)


def with_dropout(encoder: nn.Module) -> nn.Module:
    class Dropping(nn.Module):
        num_features = encoder.num_features

        def __init__(self):
            super().__init__()
            self.inner = encoder

        def forward(self, batch):
            return self.inner(nn.functional.dropout(batch, 0.2, self.training))

    return Dropping()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two ranks, never stopped: its folder, and what each rank held in the end."""
    folder = tmp_path_factory.mktemp("whole")
    return folder / "run", run_on_ranks(
        2, train_on_ranks, folder / "ranks", folder / "run", False, None
    )


def test_every_rank_holds_in_the_end_what_the_first_saved(whole):
    path, found = whole
    saved = {
        name.removeprefix("method."): value
        for name, value in weights(path).items()
        if name.startswith("method.")
    }
    assert any("running_mean" in name for name in saved)
    for ended, state in found:
        assert ended == ""
        torch.testing.assert_close(state, saved, rtol=0, atol=0)


def test_each_rank_draws_from_generators_of_its_own_and_all_are_saved(whole):
    saved = weights(whole[0])
    for name in ("views", "cpu"):
        assert not torch.equal(saved[f"generator.{name}"], saved[f"generator-1.{name}"])


def test_the_first_rank_alone_writes(whole):
    path, _ = whole
    steps = [record["step"] for record in metrics(path) if record["kind"] == "step"]
    assert steps == list(range(1, STEPS + 1))
    assert [record["step"] for record in metrics(path) if record["kind"] == "knn"] == [STEPS]
    assert len(list((path / "tensorboard").iterdir())) == 1
    assert RunFolder(path).read_environment()["ranks"] == 2


@pytest.mark.parametrize("interrupt_at", [2, 3])
def test_a_signal_to_one_rank_stops_all_and_they_go_on_to_the_same_bits(
    tmp_path, whole, interrupt_at
):
    path = tmp_path / "run"
    found = run_on_ranks(2, train_on_ranks, tmp_path / "cut", path, False, interrupt_at)
    for ended, _ in found:
        assert ended.startswith(f"143 stopped by SIGTERM after step {interrupt_at + 1} of 8")
    found = run_on_ranks(2, train_on_ranks, tmp_path / "on", path, True, None)
    same_run(path, whole[0])
    assert RunFolder(path).read_environment()["resumed_at_steps"] == [interrupt_at + 1]
    for (_, state), (_, expected) in zip(found, whole[1], strict=True):
        torch.testing.assert_close(state, expected, rtol=0, atol=0)


def train_until_killed(rank, world, path, config, at_step):
    """No views are drawn, and each embedding depends on its own image: one process's run."""
    die = functools.partial(os.kill, os.getpid(), signal.SIGKILL)
    train_tiny(
        path,
        config,
        method=row_by_row_simclr(),
        views=plain_views,
        batches=shared_batches(at_step, die),
    )


def go_on(rank, world, path, config):
    told = io.StringIO()
    method = train_tiny(
        path,
        config,
        resume=True,
        method=row_by_row_simclr(seed=5),
        views=plain_views,
        batches=shared_batches(),
        console=Console(file=told, width=200),
    )
    return told.getvalue(), state_of(method)


@pytest.mark.parametrize("ranks", [1, 4])
def test_a_run_killed_on_two_ranks_goes_on_with_another_number(tmp_path, ranks):
    config = replace(SHORT, ema=0.9)
    whole = train_row_by_row(0, 1, tmp_path / "whole", config)
    path = tmp_path / "run"
    with pytest.raises(AssertionError, match="did not come to an end"):
        run_on_ranks(2, train_until_killed, tmp_path / "killed", path, config, 6)
    if ranks == 1:
        found = [go_on(0, 1, path, config)]
    else:
        found = run_on_ranks(ranks, go_on, tmp_path / "on", path, config)
    assert f"going on after step 4 of {STEPS}" in found[0][0]
    assert f"the checkpoint was made on 2 ranks, this is {ranks}: each rank draws" in found[0][0]
    for _, state in found:
        torch.testing.assert_close(state, whole, rtol=0, atol=1e-10)
    for one, other in zip(metrics(path), metrics(tmp_path / "whole"), strict=True):
        assert one.pop("kind") == other.pop("kind")
        assert one == pytest.approx(other, rel=1e-6)
    environment = RunFolder(path).read_environment()
    assert environment["ranks"] == 2
    assert environment["resumed_on_ranks"] == [ranks]


def test_another_number_of_ranks_begins_with_the_same_bits_and_repeatable_draws(tmp_path):
    path = tmp_path / "run"
    run_on_ranks(2, train_on_ranks, tmp_path / "cut", path, False, 2)
    saved = weights(path)
    finals = []
    for copied in (tmp_path / "one", tmp_path / "other"):
        shutil.copytree(path, copied)
        method, begun = build_method(seed=7), {}
        method.encoder = with_dropout(method.encoder)
        batches = shared_batches(
            3, lambda method=method, begun=begun: begun.update(state_of(method))
        )
        train_tiny(copied, SHORT, resume=True, method=method, batches=batches)
        assert all(torch.equal(saved[f"method.{name}"], value) for name, value in begun.items())
        finals.append(weights(copied))
    assert not any(name.startswith("generator-1") for name in finals[0])
    torch.testing.assert_close(finals[0], finals[1], rtol=0, atol=0)


class Broken(nn.Module):
    """Passes on what it is given, until the second rank's gradient or features are not finite."""

    def __init__(self, encoder, what):
        super().__init__()
        self.inner, self.what = encoder, what
        self.num_features = encoder.num_features
        self.calls = 0

    def forward(self, batch):
        features = self.inner(batch)
        if self.training:
            self.calls += 1
        if self.calls == 6 and Ranks.now().rank == 1 and self.training:
            return features * math.nan if self.what == "loss" else features + (0 * features).sqrt()
        return features


def train_broken(rank, world, path, what):
    method = row_by_row_simclr()
    method.encoder = Broken(method.encoder, what)
    with pytest.raises(NearfarError) as caught:
        train_tiny(
            path,
            replace(SHORT, knn_every=0),
            method=method,
            views=plain_views,
            batches=shared_batches(),
        )
    return str(caught.value), state_of(method)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_on_one_rank_stops_all_before_the_step(tmp_path, what):
    path = tmp_path / "run"
    (said, state), (also_said, other) = run_on_ranks(
        2, train_broken, tmp_path / "ranks", path, what
    )
    assert said == also_said
    # The method is called once a view pair: the sixth call is that of the sixth step.
    assert "stopped at step 6 (epoch 2)" in said
    assert what in said
    batch = list(TrainingBatches(images(), None, batch_size=8, seed=3, device="cpu").epoch(1))[1]
    assert f"training images {', '.join(map(str, batch[2].tolist()))};" in said
    assert metrics(path)[-1]["examples"] == batch[2].tolist()
    assert all(value.isfinite().all() for value in state.values())
    torch.testing.assert_close(state, other, rtol=0, atol=0)


class OwnCount(SimCLR):
    """Keeps a buffer of its own rank's rows, which a checkpoint could not hold."""

    def __init__(self, encoder):
        super().__init__(SimCLRSpec(projection_hidden=8, projection_dim=4), encoder)
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def embed(self, views):
        self.seen += views[0].sum()
        return super().embed(views)


def train_apart(rank, world, path):
    method = OwnCount(RowByRow()).double()
    with pytest.raises(NearfarError) as caught:
        train_tiny(path, SHORT, method=method, views=plain_views, batches=shared_batches())
    return str(caught.value)


def test_what_differs_between_ranks_is_not_saved_as_if_it_were_the_same(tmp_path):
    path = tmp_path / "run"
    found = run_on_ranks(2, train_apart, tmp_path / "ranks", path)
    assert found[0] == found[1]
    assert "method.seen differs between ranks" in found[0]
    assert not (path / "checkpoints").exists()


def fail_to_write(rank, world, path):
    """A disk that is full for the second checkpoint, on the rank that writes."""
    real = os.fsync

    def full(descriptor):
        if "step-00000008" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(28, os.strerror(28))
        real(descriptor)

    os.fsync = full
    with pytest.raises(NearfarError) as caught:
        train_tiny(path, SHORT, batches=shared_batches())
    return str(caught.value)


def test_a_full_disk_of_the_first_rank_stops_all(tmp_path):
    found = run_on_ranks(2, fail_to_write, tmp_path / "ranks", tmp_path / "run")
    assert found[0] == found[1]
    assert "No space left on device; the last good checkpoint is that of step 4" in found[0]


def hold_and_train(rank, world, path):
    with pytest.raises(NearfarError) as caught:
        train_tiny(path, SHORT, resume=True, batches=shared_batches())
    return str(caught.value)


def test_a_folder_in_use_is_refused_on_every_rank(tmp_path):
    path = tmp_path / "run"
    with RunFolder.create(path).held():
        found = run_on_ranks(2, hold_and_train, tmp_path / "ranks", path)
    assert all("another process is training in" in said for said in found)


def exchange(rank, world):
    ranks = Ranks.now()
    tensors = [
        torch.full((2, 3), float(rank)),
        torch.full((), rank, dtype=torch.float64),
        torch.arange(8.0).view(1, 2, 2, 2).to(memory_format=torch.channels_last) * rank,
    ]
    ranks.average(tensors)
    layer = nn.BatchNorm1d(2)
    layer.running_mean.fill_(rank)
    frozen = nn.BatchNorm1d(2).eval()
    frozen.running_mean.fill_(rank)
    parameters = [nn.Parameter(torch.ones(2)) for _ in range(4)]
    step_average = StepAverage(nn.ModuleList([layer, frozen]), parameters, ranks)
    loss = torch.tensor(float(rank))
    by_step = []
    for averages_itself in (True, False, True):
        for parameter in parameters:
            parameter.grad = None
        (3 * parameters[3] + parameters[1] * (rank == 1)).sum().backward()
        start = (parameters[0] * rank).sum()
        if averages_itself:
            (start,) = step_average.last_pass(start)
        start.backward()
        step_average.finish(loss)
        by_step.append([parameter.grad for parameter in parameters])
    refused = ""
    try:
        with ranks.agreeing():
            if rank == 1:
                raise SettingError("no")
    except SettingError as error:
        refused = str(error)
    module = nn.Linear(2, 3).to(torch.bfloat16)
    module.weight.data = torch.full((3, 2), rank + 1.0).t().contiguous().t().bfloat16()
    module.register_buffer("flag", torch.tensor(rank == 0))
    module.register_buffer("empty", torch.zeros(0))
    ranks.begin_alike(module)
    return {
        "averages": tensors,
        "gradients": by_step,
        "means": [layer.running_mean, frozen.running_mean],
        "loss": loss,
        "largest": ranks.largest(5 - rank),
        "gathered": ranks.gather(rank),
        "from first": ranks.from_first(lambda: f"of {rank}"),
        "refused": refused,
        "alike": state_of(module),
    }


def test_what_ranks_exchange(tmp_path):
    for rank, found in enumerate(run_on_ranks(3, exchange, tmp_path)):
        averages = found["averages"]
        assert torch.equal(averages[0], torch.ones(2, 3))
        assert averages[1] == 1
        assert torch.equal(averages[2], torch.arange(8.0).view(1, 2, 2, 2))
        for first, second, third, fourth in found["gradients"]:
            torch.testing.assert_close(first, torch.ones(2))
            torch.testing.assert_close(second, torch.full((2,), 1 / 3))
            assert third is None
            torch.testing.assert_close(fourth, torch.full((2,), 3.0))
        assert torch.equal(found["means"][0], torch.ones(2))
        assert torch.equal(found["means"][1], torch.full((2,), float(rank)))
        assert found["loss"] == 1
        assert found["largest"] == 5
        assert found["gathered"] == [0, 1, 2]
        assert found["from first"] == "of 0"
        assert found["refused"] == "no"
        assert torch.equal(found["alike"]["weight"], torch.ones(3, 2).bfloat16())
        assert found["alike"]["flag"].item() is True


@pytest.mark.parametrize(("batch_size", "ranks"), [(7, 2), (2, 2), (256, 3)])
def test_a_batch_that_ranks_cannot_share_is_refused(batch_size, ranks):
    config = replace(TINY, batch_size=batch_size)
    with pytest.raises(SettingError, match=rf"batch_size is {batch_size}: .* {ranks} ranks"):
        config.require_ranks(ranks)
    replace(TINY, batch_size=2 * ranks).require_ranks(ranks)


def test_shares_put_together_are_the_batch():
    def epoch(**options):
        labels = torch.arange(33)
        batches = TrainingBatches(images(), labels, batch_size=9, seed=1, device="cpu", **options)
        return list(batches.epoch(2, first_step=1))

    shares = [epoch(rank=rank, ranks=3) for rank in range(3)]
    for step, whole in enumerate(epoch()):
        for kind in range(3):
            together = torch.cat([share[step][kind] for share in shares])
            assert torch.equal(together, whole[kind])
    with pytest.raises(SettingError, match="a multiple of the 2 ranks"):
        epoch(ranks=2)
