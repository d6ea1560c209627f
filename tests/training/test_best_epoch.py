"""The epoch with the best check is kept: the right one, through kills, ranks and full disks."""

import errno
import os
import signal
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_killed import assert_same_run, die_at_system_call
from test_training_ranks import shared_batches
from tests.recipes.small_recipe import small_recipe
from tiny_run import TINY, fake_knn, train_tiny

from nearfar.data.specs import NpzSpec, STL10Spec
from nearfar.encoders.saved import load_encoder
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.simclr import SimCLR
from nearfar.recipes.extending import extend_run
from nearfar.recipes.run import evaluate_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.terminal import Terminal
from nearfar.testing import run_on_ranks
from nearfar.testing.rank_processes import FORKS
from nearfar.training.checkpoints import load_newest
from nearfar.training.specs import TrainingSpec

BEST = replace(TINY, epochs=4, knn_every=1, keep_checkpoints=2, keep_epoch="best")


def scripted(*figures):
    """A check that gives these, one after the other, and the encoders that it was shown."""
    left, seen = list(figures), []

    def check(encoder):
        seen.append({name: each.clone() for name, each in encoder.state_dict().items()})
        return {"top1": left.pop(0)}

    return check, seen


def falling(encoder):
    """A check by the weights alone, which early epochs pass best."""
    return {"top1": -fake_knn(encoder)["top1"]}


def kept(path):
    return RunFolder(path).read_environment()["kept_epoch"]


def held(path, prefix="best."):
    loaded = load_newest(RunFolder(path).checkpoints)
    assert loaded is not None
    tensors = loaded.checkpoint.tensors
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name] for name in names}


def same(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("ema", [None, 0.6])
def test_the_earliest_of_the_best_epochs_is_left_in_place(tmp_path, ema):
    check, seen = scripted(0.1, 0.5, 0.5, 0.3)
    method = cast(SimCLR, train_tiny(tmp_path, replace(BEST, ema=ema), knn=check))
    assert kept(tmp_path) == {"epoch": 2, "top1": 0.5, "last_top1": 0.3}
    assert same(method.encoder.state_dict(), seen[1])
    assert not same(method.encoder.state_dict(), seen[3])
    # Newer checkpoints alone are left, and each of them holds it, heads and all.
    steps = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.json"))
    assert steps == ["step-00000012.json", "step-00000016.json"]
    best = held(tmp_path)
    assert same({k[8:]: v for k, v in best.items() if k.startswith("encoder.")}, seen[1])
    head = {k[5:]: v for k, v in best.items() if k.startswith("head.")}
    assert same(head, method.projection.state_dict())


def test_the_weights_that_are_trained_are_those_without_it(tmp_path):
    train_tiny(tmp_path / "last", replace(BEST, keep_epoch="last"), knn=falling)
    train_tiny(tmp_path / "best", BEST, knn=falling)
    assert same(held(tmp_path / "last", "method."), held(tmp_path / "best", "method."))
    assert held(tmp_path / "last") == {}
    assert "kept_epoch" not in RunFolder(tmp_path / "last").read_environment()


def interrupted_at(number):
    """A check that a signal interrupts at its n-th call."""
    calls = []

    def check(encoder):
        calls.append(1)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return falling(encoder)

    return check


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    method = train_tiny(path, BEST, knn=falling)
    assert kept(path)["epoch"] < BEST.epochs - 1
    return path, method


def test_cut_after_the_best_epoch_it_ends_with_the_same_bits(tmp_path, whole):
    path = tmp_path / "run"
    with pytest.raises(NearfarError, match="stopped by SIGINT"):
        train_tiny(path, BEST, knn=interrupted_at(3))
    method = train_tiny(path, BEST, knn=falling, resume=True)
    assert_same_run(path, whole[0])
    assert kept(path) == kept(whole[0])
    assert same(method.state_dict(), whole[1].state_dict())
    again = train_tiny(path, BEST, knn=falling, resume=True)
    assert same(again.state_dict(), whole[1].state_dict())


def in_child(path, resume, die_at):
    if die_at is not None:
        die_at_system_call(die_at)
    train_tiny(path, BEST, knn=falling, resume=resume)


def end_of(path, *, resume, die_at=None):
    process = FORKS.Process(target=in_child, args=(path, resume, die_at))
    process.start()
    process.join()
    return process.exitcode


def test_killed_while_it_is_written_nothing_is_lost(tmp_path, whole):
    ends = []
    for number in range(12, 10_000, 31):
        path = tmp_path / f"run-{number}"
        ends.append(end_of(path, resume=False, die_at=number))
        if ends[-1] == 0:
            break
        assert end_of(path, resume=True) == 0
        assert_same_run(path, whole[0])
        assert kept(path) == kept(whole[0])
    assert ends.count(-signal.SIGKILL) >= 2


def test_a_full_disk_loses_nothing_of_it(tmp_path, monkeypatch, whole):
    path, real = tmp_path / "run", os.fsync

    def full(descriptor):
        if "step-00000012" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NearfarError, match="No space left on device; the last good checkpoint"):
        train_tiny(path, BEST, knn=falling)
    monkeypatch.undo()
    train_tiny(path, BEST, knn=falling, resume=True)
    assert_same_run(path, whole[0])
    assert kept(path) == kept(whole[0])


def train_shared(rank, world, path):
    config = replace(BEST, epochs=3)
    method = train_tiny(path, config, batches=shared_batches(), knn=falling)
    return dict(cast(SimCLR, method).encoder.state_dict())


def test_ranks_agree_on_it_and_end_with_it(tmp_path):
    first, second = run_on_ranks(2, train_shared, tmp_path / "ranks", tmp_path / "run")
    assert kept(tmp_path / "run")["epoch"] < 3
    assert same(first, second)
    assert same({f"encoder.{k}": v for k, v in first.items()}, _encoder_of(held(tmp_path / "run")))
    assert not same(first, held(tmp_path / "run", "method.encoder."))


def _encoder_of(tensors):
    return {name: each for name, each in tensors.items() if name.startswith("encoder.")}


def test_a_run_that_keeps_the_last_is_not_gone_on_with(tmp_path):
    train_tiny(tmp_path, replace(BEST, keep_epoch="last", epochs=2))
    with pytest.raises(NearfarError, match="made with keep_epoch None, not best"):
        train_tiny(tmp_path, replace(BEST, epochs=2), resume=True)


def test_how_the_check_votes_stays_where_it_chooses_the_epoch(tmp_path):
    for keep_epoch, refused in (("best", True), ("last", False)):
        run, begun = tmp_path / keep_epoch, replace(BEST, keep_epoch=keep_epoch, epochs=2)
        train_tiny(run, begun)
        other = replace(begun, knn_vote=(200, 0.5))
        if refused:
            with pytest.raises(NearfarError, match="made with knn_vote"):
                train_tiny(run, other, resume=True)
        else:
            train_tiny(run, other, resume=True)


def test_without_a_check_it_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"keep_epoch is best: .*training.knn_every is 0: ch"):
        TrainingSpec(keep_epoch="best", knn_every=0)
    with pytest.raises(SettingError, match="there is no check"):
        train_tiny(tmp_path / "run", BEST, knn=None)
    recipe = small_recipe(tmp_path)
    training = replace(recipe.training, keep_epoch="best")
    with pytest.raises(SettingError, match=r"data.held_out is 0"):
        replace(recipe, training=training, data=replace(recipe.data, held_out=0.0))
    # Nothing labelled is learnt from there.
    replace(recipe, training=training, data=STL10Spec(train_part="unlabelled", held_out=0.0))


def test_data_without_labels_are_refused_before_anything_is_written(tmp_path):
    np.savez(tmp_path / "bare.npz", images=np.zeros((40, 8, 8), np.uint8))
    np.savez(tmp_path / "single.npz", images=np.zeros((40, 8, 8), np.uint8), labels=np.arange(40))
    recipe = small_recipe(tmp_path)
    training = replace(recipe.training, keep_epoch="best", batch_size=8)
    for name, said in (("bare", "these data have no labels"), ("single", "a single example")):
        data = NpzSpec(root=tmp_path / f"{name}.npz", test_fraction=0.0)
        with pytest.raises(SettingError, match=said):
            run_recipe(replace(recipe, training=training, data=data), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_run_saves_it_says_so_and_is_extended_with_it(tmp_path, capsys, monkeypatch):
    recipe = small_recipe(tmp_path)
    recipe = replace(
        recipe,
        training=replace(recipe.training, epochs=3, keep_epoch="best"),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=((5, 0.1),)), leave_out=("few_labels", "linear_probe", "map", "geometry")
        ),
    )
    figures = iter([0.4, 0.9, 0.7, 0.2])
    monkeypatch.setattr(
        "nearfar.recipes.run.knn_check",
        lambda _: lambda _: {"top1": next(figures), "asked": "held out"},
    )
    run = tmp_path / "run"
    run_recipe(recipe, run, console=Terminal())
    printed = " ".join(capsys.readouterr().out.split())
    assert "encoder of epoch 2 of 3 is kept: its kNN check is the best, 90.0 %" in printed
    said = "epoch 2 of 3, kept for the best kNN check on held-out training examples: 90.0 %"
    assert f"the encoder is that of {said}, against 70.0 % after the last epoch" in printed
    best = held(run)
    assert same(load_file(run / "encoder.safetensors"), held(run, "best.encoder."))
    head = load_encoder(run, "embedding").head
    assert head is not None
    assert same(head.state_dict(), held(run, "best.head."))
    page = (run / "report.html").read_text()
    assert said in page
    assert "The check chose it and so flatters it" in page
    assert "70.0 % at the last check, 90.0 % at epoch 2, which is kept" in page
    evaluate_run(run, console=Terminal())
    assert said in " ".join(capsys.readouterr().out.split())
    extend_run(run, 1, tmp_path / "longer", console=Terminal())
    assert kept(tmp_path / "longer") == {"epoch": 2, "top1": 0.9, "last_top1": 0.2}
    assert same(held(tmp_path / "longer"), best)
    assert same(
        load_file(tmp_path / "longer" / "encoder.safetensors"),
        load_file(run / "encoder.safetensors"),
    )
