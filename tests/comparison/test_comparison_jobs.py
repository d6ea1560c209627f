"""Runs are trained as processes of their own: skipped when done, cut without loss, resumed."""

import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.comparison.fake_program import install
from tests.recipes.small_recipe import small_recipe
from tools.comparison.records import RecordFile, record_in
from tools.many_runs import Job, train_all

from nearfar.errors import NearfarError
from nearfar.recipes.config_json import recipe_to_json
from nearfar.run_folder.folder import RunFolder
from nearfar.training.interruption import Interrupted

QUIET = Console(quiet=True)
ONE, TWO = (b'{"kind": "told", "step": %d, "epoch": %d.0}' % (epoch, epoch) for epoch in (1, 2))


def tiny_job(folder: Path, *, epochs: int = 1) -> Job:
    recipe = small_recipe(folder)
    training = replace(recipe.training, epochs=epochs, knn_every=0, checkpoint_every=epochs)
    evaluation = replace(recipe.evaluation, baselines=False)
    recipe = replace(recipe, training=training, evaluation=evaluation)
    return Job("run", recipe, folder / "run-seed0")


def records_in(folder: Path) -> RecordFile:
    return RecordFile(folder / "runs.jsonl")


@contextmanager
def stopped_once_they_train(jobs: list[Job], number: int = signal.SIGINT) -> Iterator[None]:
    """A signal to this process when each of the runs has taken a step, however long that takes.

    None is sent where the work inside ends before.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if min(job.done for job in jobs) > 0:
                os.kill(os.getpid(), number)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def _fake_program(tmp_path, monkeypatch):
    """Runs are those of tests/comparison/fake_program.py."""
    monkeypatch.setenv("PYTHONPATH", str(install(tmp_path / "program")))


def fake_job(folder: Path, seed: int, *, steps: int = 20) -> Job:
    recipe = small_recipe(folder)
    training = replace(recipe.training, epochs=steps)
    recipe = replace(recipe, seed=seed, training=training)
    return Job("run", recipe, folder / f"run-seed{seed}")


def begun_at(job: Job) -> list[int]:
    """The step from which each process of a run went on."""
    lines = (job.folder / "begun").read_text().splitlines()
    assert all(line.endswith("on 1 thread") for line in lines)
    return [int(line.split()[0]) for line in lines]


@pytest.mark.usefixtures("_fake_program")
def test_what_is_done_is_skipped_and_a_failure_keeps_nothing_up(tmp_path):
    jobs = [fake_job(tmp_path, seed) for seed in (13, 1, 2)]
    console = Console(file=io.StringIO(), width=200)
    for _ in range(2):
        assert train_all(jobs, records_in(tmp_path), parallel=2, console=console) == jobs[:1]
    assert [begun_at(job) for job in jobs[1:]] == [[0], [0]]
    told = console.file.getvalue()
    assert told.count("done  run-seed1") == 1
    assert "done  run-seed2 · 2 of 3 runs" in told
    assert told.count("failed  run-seed13: nearfar: an unlucky number") == 2
    assert "2 of 3 runs are finished" in told


@pytest.mark.usefixtures("_fake_program")
def test_what_is_recorded_is_not_trained_in_another_checkout(tmp_path):
    jobs = [fake_job(tmp_path, seed) for seed in (1, 2)]
    (tmp_path / "there").mkdir()
    there = [replace(job, folder=tmp_path / "there" / job.folder.name) for job in jobs]
    assert train_all(there, records_in(tmp_path), parallel=2, console=QUIET) == []
    assert set(records_in(tmp_path).read()) == {("run", 1), ("run", 2)}
    # One of other settings counts for nothing.
    longer = replace(jobs[1].recipe, training=replace(jobs[1].recipe.training, epochs=21))
    jobs[1] = replace(jobs[1], recipe=longer)
    assert train_all(jobs, records_in(tmp_path), parallel=1, console=QUIET) == []
    assert not jobs[0].folder.exists()
    assert begun_at(jobs[1]) == [0]
    held = records_in(tmp_path).read()
    assert all(record_in(held, job) for job in jobs)


@pytest.mark.usefixtures("_fake_program")
def test_what_was_judged_but_not_recorded_is_recorded(tmp_path):
    job = fake_job(tmp_path, 1)
    assert train_all([job], records_in(tmp_path), parallel=1, console=QUIET) == []
    before = records_in(tmp_path).read()
    records_in(tmp_path).path.unlink()
    assert train_all([job], records_in(tmp_path), parallel=1, console=QUIET) == []
    assert records_in(tmp_path).read() == before
    assert begun_at(job) == [0]


@pytest.mark.usefixtures("_fake_program")
def test_what_an_earlier_version_judged_is_not_recorded(tmp_path):
    jobs = [fake_job(tmp_path, seed) for seed in (11, 1)]
    console = Console(file=io.StringIO(), width=400)
    assert train_all(jobs, records_in(tmp_path), parallel=1, console=console) == jobs[:1]
    assert set(records_in(tmp_path).read()) == {("run", 1)}
    told = f"failed  run-seed11: {jobs[0].folder} was judged before features were judged in their"
    assert told in console.file.getvalue()
    with pytest.raises(NearfarError, match="judge it anew with `nearfar evaluate"):
        train_all(jobs, records_in(tmp_path), parallel=1, console=QUIET)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("_fake_program")
def test_a_signal_lets_every_run_save_and_starts_no_other(tmp_path, number):
    jobs = [fake_job(tmp_path, seed, steps=10_000) for seed in (1, 2, 3)]
    handler = signal.getsignal(number)
    stopped_early = pytest.raises(Interrupted, match=f"stopped by {number.name} with 0 of 3")
    with stopped_early as stopped, stopped_once_they_train(jobs[:2], number):
        train_all(jobs, records_in(tmp_path), parallel=2, console=Console(quiet=True))
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) is handler
    assert not jobs[2].folder.exists()
    steps = [int((job.folder / "saved").read_text()) for job in jobs[:2]]
    assert all(0 < step < 10_000 for step in steps)


@pytest.mark.usefixtures("_fake_program")
def test_never_more_runs_at_a_time_than_asked_for(tmp_path):
    jobs = [fake_job(tmp_path, seed, steps=5) for seed in (1, 2, 3)]
    console = Console(file=io.StringIO(), width=200)
    assert train_all(jobs, records_in(tmp_path), parallel=1, console=console) == []
    times = [
        ((job.folder / "begun").stat().st_mtime, (job.folder / "evaluation.json").stat().st_mtime)
        for job in jobs
    ]
    assert times[0][1] <= times[1][0]
    assert times[1][1] <= times[2][0]


@pytest.mark.slow
def test_a_real_run_is_cut_and_goes_on_and_is_then_skipped(tmp_path):
    job = tiny_job(tmp_path, epochs=80)
    missing = replace(job.recipe, data=replace(job.recipe.data, root=tmp_path / "gone.npz"))
    failing = Job("failing", missing, tmp_path / "failing-seed0")
    console = Console(file=io.StringIO(), width=200)

    handler = signal.getsignal(signal.SIGINT)
    said = "stopped by SIGINT with 0 of 1 runs finished"
    with pytest.raises(Interrupted, match=said) as stopped, stopped_once_they_train([job]):
        train_all([job], records_in(tmp_path), parallel=1, console=console)
    assert stopped.value.exit_code == 128 + signal.SIGINT
    saved = list((job.folder / "checkpoints").glob("*.safetensors"))
    assert len(saved) == 1
    assert 0 < job.done < 1
    assert signal.getsignal(signal.SIGINT) is handler

    assert train_all([job, failing], records_in(tmp_path), parallel=2, console=console) == [failing]
    environment = json.loads((job.folder / "environment.json").read_text())
    assert environment["resumed_at_steps"] == [int(saved[0].stem.removeprefix("step-"))]
    assert environment["threads"] == 1
    assert RunFolder(job.folder).read_metrics()[-1]["epoch"] == 80
    recorded = records_in(tmp_path).read()
    assert set(recorded) == {("run", 0)}
    assert {each.protocol for each in recorded["run", 0].scores} == {
        "knn",
        "few_labels",
        "linear_probe",
    }
    assert job.done == 1.0
    told = console.file.getvalue()
    assert "done  run-seed0 · 1 of 2 runs" in told
    assert "failed  failing-seed0: nearfar: " in told
    assert "gone.npz" in told

    before = job.log.stat().st_mtime_ns
    assert train_all([job], records_in(tmp_path), parallel=1, console=console) == []
    assert job.log.stat().st_mtime_ns == before


def test_a_folder_with_other_settings_is_refused_before_anything_starts(tmp_path):
    job = tiny_job(tmp_path)
    RunFolder.create(job.folder).write_config(recipe_to_json(replace(job.recipe, seed=5)))
    fresh = replace(job, folder=tmp_path / "fresh-seed0")
    with pytest.raises(NearfarError, match=r"run-seed0 holds a run with other settings"):
        train_all([fresh, job], records_in(tmp_path), parallel=1, console=Console(quiet=True))
    assert not fresh.folder.exists()


def test_images_may_have_moved_meanwhile(tmp_path):
    job = tiny_job(tmp_path)
    job.prepare()
    moved = replace(job.recipe, data=replace(job.recipe.data, root=tmp_path / "elsewhere.npz"))
    replace(job, recipe=moved).prepare()


@pytest.mark.parametrize(
    ("metrics", "done"),
    [
        (None, 0.0),
        (b"", 0.0),
        (b"%b\n%b\n" % (ONE, TWO), 0.425),
        (b"%b\n%b" % (ONE, TWO[:-3]), 0.2125),
    ],
)
def test_what_is_done_is_told_by_the_metrics(tmp_path, metrics, done):
    job = tiny_job(tmp_path, epochs=4)
    job.prepare()
    if metrics is not None:
        RunFolder(job.folder).metrics.write_bytes(metrics)
    assert job.done == pytest.approx(done)
