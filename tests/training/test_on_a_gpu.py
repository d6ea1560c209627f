"""What of training only a GPU can tell; `make gpu-check` runs it where there is one."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_killed import metrics
from test_running_ahead import Broken, moco
from test_training_ranks import plain_views, row_by_row_simclr
from tiny_run import TINY, build_method, images, train_tiny

from launched_ranks import end_of
from nearfar.data.batches import TrainingBatches
from nearfar.training import late
from nearfar.training.ends import Diverged
from nearfar.training.ranks import Ranks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
ON_GPU = replace(TINY, device="cuda", epochs=2)
AHEAD = late.RUNS_AHEAD["cuda"]


def batches(size: int = 8) -> TrainingBatches:
    ranks = Ranks.now()
    return TrainingBatches(
        images(),
        None,
        batch_size=size,
        seed=3,
        device=f"cuda:{ranks.rank}",
        rank=ranks.rank,
        ranks=ranks.count,
    )


def losses(path: Path) -> list[float]:
    return [each["loss"] for each in metrics(path) if each["kind"] == "step"]


def judged_on_the_cpu(encoder) -> dict[str, float]:
    return {"top1": 0.5, "top5": 1.0}


train = functools.partial(train_tiny, knn=judged_on_the_cpu)


def test_a_loop_that_is_ahead_trains_as_one_that_waits(tmp_path, monkeypatch):
    train(tmp_path / "ahead", ON_GPU, method=moco(), batches=batches())
    monkeypatch.setitem(late.RUNS_AHEAD, "cuda", 0)
    train(tmp_path / "at-once", ON_GPU, method=moco(), batches=batches())
    assert losses(tmp_path / "ahead") == pytest.approx(losses(tmp_path / "at-once"), rel=1e-3)


def test_a_step_that_is_not_finite_touches_nothing(tmp_path):
    method = moco(lambda encoder: Broken(encoder, 3, "loss"))
    with pytest.raises(Diverged, match="stopped at step 3 "):
        train(tmp_path / "run", replace(ON_GPU, batch_size=4), method=method, batches=batches(4))
    assert all(each.isfinite().all() for each in method.state_dict().values())
    assert isinstance(method.encoder, Broken)
    assert method.encoder.calls == 3 + AHEAD


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precisions_train(tmp_path, precision):
    config = replace(ON_GPU, precision=precision)
    train(tmp_path / "run", config, method=build_method(), batches=batches())
    steps = [each for each in metrics(tmp_path / "run") if each["kind"] == "step"]
    assert len(steps) >= 5
    assert all(("loss_scale" in each) == (precision == "fp16") for each in steps)


def test_a_compiled_encoder_trains(tmp_path):
    train(tmp_path / "plain", ON_GPU, method=build_method(), batches=batches())
    config = replace(ON_GPU, compile=True)
    train(tmp_path / "compiled", config, method=build_method(), batches=batches())
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-2)


def train_row_by_row(joined: Ranks, path: Path, config) -> None:
    """One rank's part of a training in float64 without a draw."""
    train(
        path / "run",
        config,
        method=row_by_row_simclr(),
        views=plain_views,
        batches=batches(),
    )


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
@pytest.mark.parametrize("shard", [None, True])
def test_two_ranks_by_nccl_train_as_one_process(tmp_path, shard):
    config = replace(ON_GPU, clip_norm=0.5)
    train_row_by_row(Ranks(), tmp_path, config)
    shared = tmp_path / "shared"
    shared.mkdir()
    act = functools.partial(train_row_by_row, path=shared, config=replace(config, shard=shard))
    codes, told = end_of(act, shared)
    assert codes == [0, 0], told
    assert losses(shared / "run") == pytest.approx(losses(tmp_path / "run"), rel=1e-6)
