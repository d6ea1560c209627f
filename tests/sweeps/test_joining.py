"""A second terminal joins a sweep that is running, and may be killed: the first misses nothing."""

import itertools
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.sweeps.small_sweep import QUIET, page, rows, same, study_of, weights

from nearfar.cli import main
from nearfar.run_folder.folder import RunFolder
from nearfar.sweeps.running import run_sweep
from nearfar.sweeps.search import Search
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.testing.rank_processes import FORKS
from nearfar.training.step import Steps

PATIENCE_S = 300.0
RUNS = [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The sweep of one process that nobody joins."""
    folder = tmp_path_factory.mktemp("alone")
    return run_sweep(study_of(folder, seeds=(0, 1)), SweepFolder(folder / "sweep"), console=QUIET)


def in_terminal(folder: Path, number=None, step=0, reached=None) -> None:
    """`nearfar sweep --resume FOLDER`, which sends itself a signal before one of its steps."""
    steps, take = itertools.count(1), Steps.take

    def signalling(*arguments):
        if next(steps) == step:
            reached.set()
            os.kill(os.getpid(), number)
        return take(*arguments)

    Steps.take = signalling
    raise SystemExit(main(["sweep", "--resume", str(folder)]))


def started(folder, *arguments):
    process = FORKS.Process(target=in_terminal, args=(folder, *arguments))
    process.start()
    return process


@pytest.fixture
def joined(alone, tmp_path):
    """A sweep whose first process stands still in its first run, and goes on at SIGCONT."""
    sweep = SweepFolder(tmp_path / "sweep")
    search = Search(sweep, sweep.begin(replace(alone.study, minutes=None)))
    stopped = FORKS.Event()
    first = started(sweep.path, signal.SIGSTOP, 2, stopped)
    try:
        assert stopped.wait(PATIENCE_S)
        yield search, first
    finally:
        first.kill()
        first.join()


def go_on(process):
    os.kill(process.pid, signal.SIGCONT)
    process.join(PATIENCE_S)
    assert process.exitcode == 0


def assert_equal(search, alone):
    """The same table, the same bits, each trial begun once and the best one alone judged."""
    assert rows(search) == rows(alone)
    assert page(search) == page(alone)
    for trial, seed in RUNS:
        mine, theirs = search.folder.run(trial, seed), alone.folder.run(trial, seed)
        assert same(weights(mine), weights(theirs))
        assert RunFolder(mine).evaluation.is_file() is RunFolder(theirs).evaluation.is_file()
    assert len(list(search.folder.runs.iterdir())) == len(RUNS)
    lines = search.folder.journal.read_text().splitlines()
    assert sum('"op_code":4' in line for line in lines) == 2


def checked(search):
    return [(trial.number, seed) for trial in search.trials() for seed in trial.checks]


def test_a_second_terminal_joins_and_shares_the_work(joined, alone):
    search, first = joined
    second = started(search.folder.path)
    end = time.monotonic() + PATIENCE_S
    while len(checked(search)) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    # All that the first is not at; of that one the second keeps off, and waits for it.
    assert checked(search) == RUNS[1:]
    assert second.is_alive()
    go_on(first)
    second.join(PATIENCE_S)
    assert second.exitcode == 0
    assert_equal(search, alone)


def test_a_second_terminal_that_is_killed_leaves_its_run_to_the_first(joined, alone):
    search, first = joined
    reached = FORKS.Event()
    second = started(search.folder.path, signal.SIGKILL, 7, reached)
    second.join(PATIENCE_S)
    assert reached.is_set()
    assert second.exitcode == -signal.SIGKILL
    assert checked(search) == RUNS[1:2]
    cut = RunFolder(search.folder.run(1, 0))
    assert cut.config.is_file()
    assert not cut.encoder_settings.is_file()
    go_on(first)
    assert_equal(search, alone)
    assert cut.read_environment()["resumed_at_steps"] == [2]
