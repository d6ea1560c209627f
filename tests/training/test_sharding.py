"""Encoders shared out over ranks: one process's run, its checkpoints on any number of ranks."""

import io
import shutil
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from test_killed import metrics, weights
from test_training_ranks import (
    SHORT,
    plain_views,
    row_by_row_simclr,
    shared_batches,
    state_of,
    train_row_by_row,
)
from tiny_run import build_method, train_tiny
from torch import nn

from nearfar.errors import NearfarError, SettingError
from nearfar.methods.byol import BYOL
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.methods.method import Method
from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.spec import as_spec
from nearfar.testing import run_on_ranks
from nearfar.training import sharding
from nearfar.training.ends import EndedEarly
from nearfar.training.specs import OptimizerSpec, TrainingSpec

SHARDED = replace(SHORT, shard=True, clip_norm=0.5)


def train_sharded(rank, world, path, config, resume=False, end_after=None):
    """The first rank's state in the end, its terminal, and how much of the encoder this had."""
    sharding.LEAST_PART = 0  # every layer is brought together by itself
    method, held = row_by_row_simclr(seed=1 + rank), []
    console = io.StringIO()

    def end(epochs, found):
        return "enough" if epochs == end_after else None

    batches = shared_batches(
        5, lambda: held.extend(local_count(each) for each in method.encoder.parameters())
    )
    try:
        train_tiny(
            path,
            config,
            resume=resume,
            method=method,
            views=plain_views,
            batches=batches,
            after_check=end,
            console=Console(file=console, width=1000) if rank == 0 else None,
        )
    except EndedEarly:
        return None
    return state_of(method) if rank == 0 else None, console.getvalue(), sum(held)


def local_count(parameter) -> int:
    """Weights of it that this rank holds."""
    return parameter.to_local().numel()


def optimized_by(name):
    spec = as_spec(OptimizerSpec, {"name": name, "learning_rate": 0.1})
    return replace(SHARDED, optimizer=spec)


@pytest.mark.parametrize(
    ("name", "micro_batch_size"), [("adamw", None), ("sgd", 3), ("lars", None)]
)
def test_shards_come_to_the_parameters_of_one_process(tmp_path, name, micro_batch_size):
    config = replace(optimized_by(name), micro_batch_size=micro_batch_size)
    whole = train_row_by_row(0, 1, tmp_path / "whole", replace(config, shard=None))
    found = run_on_ranks(2, train_sharded, tmp_path / "ranks", tmp_path / "run", config)
    torch.testing.assert_close(found[0][0], whole, rtol=0, atol=1e-10)
    assert not any(each.isnan().any() for each in whole.values())
    # Checks, looks and clipping saw what one process sees.
    for one, other in zip(metrics(tmp_path / "run"), metrics(tmp_path / "whole"), strict=True):
        assert one.pop("kind") == other.pop("kind")
        assert one == pytest.approx(other, rel=1e-6)
    counts = [each[2] for each in found]
    encoder = sum(each.numel() for each in row_by_row_simclr().encoder.parameters())
    assert sum(counts) == encoder
    assert max(counts) < 0.6 * encoder


@pytest.mark.parametrize(
    "ranks", [1, 2, pytest.param(4, marks=pytest.mark.slow)], ids=lambda ranks: f"on-{ranks}"
)
def test_a_run_goes_on_on_another_number_of_ranks(tmp_path, ranks, cut_run):
    cut, whole = cut_run
    path = tmp_path / "run"
    shutil.copytree(cut, path)
    saved = weights(path)
    assert saved["method.encoder.layers.1.weight"].shape == (16, 64)
    assert any(name.startswith("optimizer.exp_avg.encoder") for name in saved)
    config = optimized_by("adamw")
    if ranks == 1:
        state, said, _ = train_alone(path, config)
        assert "this is the only rank, so the encoder stays whole" in said
    else:
        found = run_on_ranks(ranks, train_sharded, tmp_path / "ranks", path, config, True)
        state, said, _ = found[0]
    assert "going on after step 4 of 8" in said
    torch.testing.assert_close(state, whole, rtol=0, atol=1e-10)


def train_alone(path, config):
    method, console = row_by_row_simclr(seed=9), io.StringIO()
    train_tiny(
        path,
        config,
        resume=True,
        method=method,
        views=plain_views,
        batches=shared_batches(),
        console=Console(file=console, width=1000),
    )
    return state_of(method), console.getvalue(), 0


@pytest.fixture(scope="module")
def cut_run(tmp_path_factory):
    """A run of two ranks that ended after its first epoch, and one process's whole run."""
    folder = tmp_path_factory.mktemp("cut")
    config = replace(optimized_by("adamw"), knn_every=1)
    run_on_ranks(2, train_sharded, folder / "ranks", folder / "run", config, False, 1)
    whole = train_row_by_row(0, 1, folder / "whole", replace(config, shard=None))
    return folder / "run", whole


def pairs():
    """Two encoders, and parameters of the method's own: a scale that is learnt, one that is not."""
    torch.manual_seed(0)
    return CLIPSpec(projection_dim=4, head="linear").build(Inside(), second_encoder=Inside())


def fixed_scale():
    method = pairs()
    assert isinstance(method.log_scale, nn.Parameter)
    method.log_scale.requires_grad_(False)
    return method


def train_made(rank, world, path, make, shard):
    sharding.LEAST_PART = 0
    method = make()
    config = replace(SHORT, epochs=1, shard=shard)
    train_tiny(path, config, method=method, batches=shared_batches())
    return state_of(method) if rank == 0 else None


@pytest.mark.slow
@pytest.mark.parametrize("make", [build_method, pairs, fixed_scale])
def test_methods_are_those_of_ranks_that_have_them_whole(tmp_path, make):
    whole, shared = (
        run_on_ranks(
            2, train_made, tmp_path / f"ranks-{shard}", tmp_path / f"{shard}", make, shard
        )[0]
        for shard in (None, True)
    )
    torch.testing.assert_close(shared, whole, rtol=1e-3, atol=2e-4)


def refused(rank, world, path, make):
    with pytest.raises(NearfarError) as caught:
        train_tiny(path, SHARDED, method=make(), batches=shared_batches())
    return str(caught.value)


class Inside(nn.Module):
    """An encoder of one layer, which others may reach into."""

    num_features = 8

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 8)

    def forward(self, batch):
        return self.layer(batch.flatten(1))


class Reaching(Method):
    """Computes with a weight of its encoder, and does not call it."""

    def __init__(self):
        super().__init__()
        self.encoder = Inside()

    def embed(self, views):
        assert isinstance(self.encoder, Inside)
        weight = self.encoder.layer.weight
        first, second = (nn.functional.linear(view.flatten(1), weight) for view in views)
        return first, second

    def loss(self, embedded, labels=None):
        first, second = embedded
        return (first - second).square().mean()


def byol():
    return BYOL(BYOLSpec(projection_hidden=8, projection_dim=4), Inside())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (byol, "BYOL keeps a slow copy of its encoder"),
        (Reaching, "Reaching does not call its encoder as a whole: leave it out"),
    ],
)
def test_methods_that_it_does_not_fit_are_refused_in_a_line(tmp_path, make, told):
    said = run_on_ranks(2, refused, tmp_path / "ranks", tmp_path / "run", make)
    assert told in said[0]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "other",
    [
        {"precision": "fp16"},
        {"compile": True},
        {"ema": 0.9},
        {"keep_epoch": "best"},
        {"online_probe": True},
    ],
)
def test_settings_that_need_whole_encoders_are_refused(other):
    with pytest.raises(SettingError, match=rf"shard is True and training\.{next(iter(other))} is"):
        TrainingSpec(shard=True, **other)
