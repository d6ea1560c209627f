"""A run that is killed with SIGKILL, again and again, ends with the bits of one that was not."""

import itertools
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.dying import die_at_call
from tiny_run import TINY, train_tiny

from nearfar import durable_files
from nearfar.run_folder.folder import RunFolder
from nearfar.testing.rank_processes import FORKS
from nearfar.training.checkpoints import load_newest


def weights(path: Path) -> dict[str, torch.Tensor]:
    loaded = load_newest(RunFolder(path).checkpoints)
    assert loaded is not None
    assert loaded.damaged == ()
    return dict(loaded.checkpoint.tensors)


def metrics(path: Path) -> list[dict]:
    """All records, without the one figure that is a matter of time."""
    records = RunFolder(path).read_metrics()
    return [{k: v for k, v in r.items() if k != "examples_per_second"} for r in records]


def assert_same_run(path: Path, reference: Path) -> None:
    """Same metrics, same bits."""
    assert metrics(path) == metrics(reference)
    killed, whole = weights(path), weights(reference)
    assert killed.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(killed[name], whole[name])] == []


def start(path: Path, *, resume: bool, die_at: int | None = None):
    process = FORKS.Process(target=in_child, args=(path, resume, die_at))
    process.start()
    return process


def in_child(path: Path, resume: bool, die_at: int | None) -> None:
    if die_at is not None:
        die_at_system_call(die_at)
    train_tiny(path, resume=resume)


def die_at_system_call(number: int) -> None:
    """Die just before the n-th system call by which a checkpoint or another file is written."""
    die_at_call(number, [(os, "fsync"), (os, "replace"), (Path, "unlink")])


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    process = start(path, resume=False)
    process.join()
    assert process.exitcode == 0
    assert RunFolder(path).read_metrics()[-1]["step"] == TINY.epochs * 4
    return path


def kill_at_random_moments(folder: Path, reference: Path, kills: int, seed: int) -> None:
    """Go on killing and resuming runs until so many kills were survived."""
    chance = random.Random(seed)
    survived, went_on = 0, 0
    for run in itertools.count():
        if survived >= kills:
            break
        path = folder / f"run-{run}"
        process = start(path, resume=False)
        while True:
            # A moment of the run, not of the clock: the machine may be slow.
            wait_for_lines(path, process, lines(path) + chance.randint(1, 9))
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            survived += 1
            process = start(path, resume=True)
        assert_same_run(path, reference)
        resumed = RunFolder(path).read_environment()["resumed_at_steps"]
        went_on += sum(step > 0 for step in resumed)
    assert went_on >= kills // 3


def wait_for_lines(path: Path, process, wanted: int) -> None:
    """Until the run has written that much, or is over."""
    while process.is_alive() and lines(path) < wanted:
        time.sleep(0.002)


def lines(path: Path) -> int:
    file = path / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def test_killed_at_ten_random_moments(tmp_path, reference):
    kill_at_random_moments(tmp_path, reference, kills=10, seed=1)


@pytest.mark.slow
def test_killed_at_a_hundred_random_moments(tmp_path, reference):
    kill_at_random_moments(tmp_path, reference, kills=100, seed=2)


@pytest.mark.slow
def test_killed_before_every_system_call(tmp_path, reference):
    kill_before_system_calls(tmp_path, reference, step=1)


def test_killed_before_some_system_calls(tmp_path, reference):
    kill_before_system_calls(tmp_path, reference, step=7)


def kill_before_system_calls(folder: Path, reference: Path, step: int) -> None:
    for number in itertools.count(step=step):
        path = folder / f"run-{number}"
        process = start(path, resume=False, die_at=number)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        process = start(path, resume=True)
        process.join()
        assert process.exitcode == 0
        assert_same_run(path, reference)
        assert not list(path.rglob("*" + durable_files.UNFINISHED))
    assert number > 20
