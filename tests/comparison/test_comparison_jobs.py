"""Runs are trained as processes of their own: skipped when done, cut without loss, resumed."""

import io
import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.recipes.small_recipe import small_recipe
from tools.comparison.jobs import Job, Stopped, train_all

from nearfar.errors import NearfarError
from nearfar.recipes.config_json import recipe_to_json
from nearfar.training.run_folder import RunFolder

PATIENCE_S = 120.0


def tiny_job(folder: Path, *, epochs: int = 1) -> Job:
    recipe = small_recipe(folder)
    training = replace(recipe.training, epochs=epochs, knn_every=0, checkpoint_every=epochs)
    evaluation = replace(recipe.evaluation, baselines=False)
    recipe = replace(recipe, training=training, evaluation=evaluation)
    return Job(recipe, folder / "run-seed0")


def stop_once_it_trains(job: Job) -> threading.Thread:
    """SIGINT to this process when the run has taken a step."""

    def watch() -> None:
        end = time.monotonic() + PATIENCE_S
        while job.done == 0 and time.monotonic() < end:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_cut_run_is_saved_and_goes_on_and_a_done_one_is_skipped(tmp_path):
    job = tiny_job(tmp_path, epochs=80)
    missing = replace(job.recipe, data=replace(job.recipe.data, root=tmp_path / "gone.npz"))
    failing = Job(missing, tmp_path / "failing-seed0")
    console = Console(file=io.StringIO(), width=200)

    handler = signal.getsignal(signal.SIGINT)
    watcher = stop_once_it_trains(job)
    with pytest.raises(Stopped, match="stopped by SIGINT with 0 of 1 runs finished") as stopped:
        train_all([job], parallel=1, console=console)
    watcher.join()
    assert stopped.value.exit_code == 128 + signal.SIGINT
    saved = list((job.folder / "checkpoints").glob("*.safetensors"))
    assert len(saved) == 1
    assert 0 < job.done < 1
    assert signal.getsignal(signal.SIGINT) is handler

    assert train_all([job, failing], parallel=2, console=console) == [failing]
    environment = json.loads((job.folder / "environment.json").read_text())
    assert environment["resumed_at_steps"] == [int(saved[0].stem.removeprefix("step-"))]
    assert environment["threads"] == 1
    assert RunFolder(job.folder).read_metrics()[-1]["epoch"] == 80
    assert job.done == 1.0
    told = console.file.getvalue()
    assert "done  run-seed0 · 1 of 2 runs" in told
    assert "failed  failing-seed0: nearfar: " in told
    assert "gone.npz" in told

    before = job.log.stat().st_mtime_ns
    assert train_all([job], parallel=1, console=console) == []
    assert job.log.stat().st_mtime_ns == before


def test_a_folder_with_other_settings_is_refused_before_anything_starts(tmp_path):
    job = tiny_job(tmp_path)
    RunFolder.create(job.folder).write_config(recipe_to_json(replace(job.recipe, seed=5)))
    fresh = replace(job, folder=tmp_path / "fresh-seed0")
    with pytest.raises(NearfarError, match=r"run-seed0 holds a run with other settings"):
        train_all([fresh, job], parallel=1, console=Console(quiet=True))
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
        (b'{"epoch": 1.0}\n{"epoch": 2.0}\n', 0.425),
        (b'{"epoch": 1.0}\n{"epoch": 2', 0.2125),
    ],
)
def test_what_is_done_is_told_by_the_metrics(tmp_path, metrics, done):
    job = tiny_job(tmp_path, epochs=4)
    job.prepare()
    if metrics is not None:
        RunFolder(job.folder).metrics.write_bytes(metrics)
    assert job.done == pytest.approx(done)
