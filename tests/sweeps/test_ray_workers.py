"""Workers on Ray: the results of plain ones, whatever dies, and every refusal in one line."""

import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rich.console import Console
from tests.sweeps.ray_cluster import PATIENCE_S, commands_of_docs, ray_cluster
from tests.sweeps.small_sweep import QUIET, page, recipe_of, rows, same, study_of, weights

from nearfar.cli import main
from nearfar.errors import NearfarError, SettingError
from nearfar.run_folder import names
from nearfar.run_folder.lock import is_locked
from nearfar.sweeps import ray_workers
from nearfar.sweeps.runners import LocalSpec, RaySpec
from nearfar.sweeps.running import run_sweep
from nearfar.sweeps.search import Search
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.worker import work_as_task
from nearfar.training.interruption import Interrupted


class FakeRay:
    """Runs each task where it is called, one after the other; tells what it was asked."""

    def __init__(self, cpus=1.0, init=None, ended=True):
        self.cpus, self.ended, self.asked, self.cancelled = cpus, ended, {}, []
        self.exceptions = SimpleNamespace(
            RayError=RuntimeError, TaskCancelledError=type("Cancelled", (RuntimeError,), {})
        )
        self._init = init or (lambda **_: None)

    def init(self, **asked):
        self.asked |= asked
        self._init(**asked)

    def shutdown(self):
        self.asked["shut down"] = True

    def nodes(self):
        return [{"Alive": True}, {"Alive": False}]

    def cluster_resources(self):
        return {"CPU": self.cpus}

    def remote(self, **asked):
        self.asked |= asked
        return lambda function: SimpleNamespace(
            remote=lambda *given: function(*given) if self.ended else "running"
        )

    def wait(self, tasks, timeout):
        return tasks[:1], tasks[1:]

    def get(self, task):
        if isinstance(task, Exception):
            raise task
        return task

    def cancel(self, _task, force):
        self.cancelled.append(force)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The sweep of one plain worker."""
    folder = tmp_path_factory.mktemp("plain")
    return run_sweep(study_of(folder, seeds=(0, 1)), SweepFolder(folder / "sweep"), console=QUIET)


@pytest.fixture
def fake(monkeypatch):
    def put(**settings):
        made = FakeRay(**settings)
        monkeypatch.setattr(ray_workers, "_imported", lambda local: made)
        return made

    return put


def test_tasks_find_what_plain_workers_find(plain, tmp_path, fake):
    ray = fake()
    sweep = SweepFolder(tmp_path / "sweep")
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    cores = os.sched_getaffinity(0)
    search = run_sweep(plain.study, sweep, workers=2, runner=RaySpec(), console=console)
    assert rows(search) == rows(plain)
    assert page(search) == page(plain)
    assert ray.asked["address"] == "local"
    assert (ray.asked["num_cpus"], ray.asked["max_retries"]) == (1, 3)  # of each task
    assert ray.asked["include_dashboard"] is False
    assert ray.asked["shut down"]
    told = console.export_text()
    assert "by 2 workers on Ray" in told
    assert "Ray: 1 machine, 1 CPUs, so that 1 workers wait" in told
    assert len(list(sweep.logs.iterdir())) == 2
    assert os.sched_getaffinity(0) == cores  # Ray gives the process to others


def test_a_cluster_of_the_user_is_joined_as_it_is(plain, tmp_path, fake):
    ray = fake(cpus=8.0)
    runner = RaySpec(address="head:6379")
    run_sweep(plain.study, plain.folder, workers=2, runner=runner, console=QUIET)
    assert ray.asked["address"] == "head:6379"
    assert "include_dashboard" not in ray.asked


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path):
    told = work_as_task(str(tmp_path / "elsewhere"), "one", None)
    assert "does not see" in told
    assert "on a disk that all machines of the cluster share" in told


def test_why_the_last_task_ended_is_told_with_the_command(plain, tmp_path, fake, monkeypatch):
    fake()
    dead = RuntimeError("a\n  The worker died: SIGKILL\n")
    monkeypatch.setattr(ray_workers, "work_as_task", lambda *_: dead)
    says = (
        r"every worker has ended, .*: The worker died: SIGKILL: .* `nearfar sweep --resume .* ray`"
    )
    with pytest.raises(NearfarError, match=says):
        run_sweep(plain.study, plain.folder, workers=2, runner=RaySpec(), console=QUIET)


def test_a_first_signal_saves_and_a_second_one_kills(plain, fake, monkeypatch):
    ray = fake(ended=False)
    handler = signal.getsignal(signal.SIGINT)

    def wait(tasks, timeout):
        if len(ray.cancelled) < 4:
            os.kill(os.getpid(), signal.SIGINT)
            return [], tasks
        return tasks, []

    monkeypatch.setattr(ray, "wait", wait)
    runner = RaySpec(address="head:6379")
    with pytest.raises(
        Interrupted, match=r"sweep --resume .* --runner ray --runner.address head:6379`"
    ) as stopped:
        run_sweep(plain.study, plain.folder, workers=2, runner=runner, console=QUIET)
    assert stopped.value.exit_code == 130
    assert ray.cancelled == [False, False, True, True]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_cluster_that_is_not_there_is_one_line(plain, fake):
    def refuse(**_):
        raise ConnectionError("Could not reach it.\nIs Ray running?\n")

    fake(init=refuse)
    with pytest.raises(NearfarError, match=r"^no cluster answers at x:1: Is Ray running"):
        run_sweep(plain.study, plain.folder, runner=RaySpec(address="x:1"), console=QUIET)
    fake(cpus=0.0)
    with pytest.raises(NearfarError, match="offer no CPU: ray start --num-cpus N"):
        run_sweep(plain.study, plain.folder, runner=RaySpec(address="x:1"), console=QUIET)


def test_ray_that_is_not_installed_is_one_line_before_anything_is_written(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "ray" else find(n))
    monkeypatch.delitem(sys.modules, "nearfar.sweeps.ray_workers")
    sweep = SweepFolder(tmp_path / "sweep")
    with pytest.raises(NearfarError, match=r"pip install 'nearfar\[ray\]'"):
        run_sweep(study_of(tmp_path), sweep, runner=RaySpec(), console=QUIET)
    assert not sweep.path.exists()


def test_the_words_of_runners(capsys):
    assert LocalSpec().words == []
    assert main(["sweep", "simclr-digits", "--engine", "ray"]) == 2
    assert "--runner ray" in capsys.readouterr().err
    assert main(["sweep", "simclr-digits", "--runner", "rey"]) == 2
    assert "did you mean 'ray'?" in capsys.readouterr().err
    assert main(["sweep", "simclr-digits", "--runner.address", "x:1"]) == 2
    assert "belongs to ray" in capsys.readouterr().err
    with pytest.raises(SettingError):
        RaySpec(address=3)


def test_the_commands_of_the_docs_are_understood(monkeypatch):
    asked = {}
    monkeypatch.setattr("nearfar.sweeps.running.run_sweep", lambda *_, **more: asked.update(more))
    head, other, sweep, stop = commands_of_docs()
    assert main(sweep[1:]) == 0
    assert (asked["runner"], asked["workers"]) == (RaySpec(address="HEAD:6379"), 16)
    assert [each[:2] for each in (head, other, stop)] == [["ray", "start"]] * 2 + [["ray", "stop"]]


@pytest.mark.slow
def test_a_cluster_of_two_machines_is_stopped_killed_and_finds_the_same(tmp_path, monkeypatch):
    """One worker a machine; Ctrl-C saves; then one of them is killed in a run."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    longer = recipe_of(tmp_path, epochs=60, knn_every=15)
    study = study_of(tmp_path, recipe=longer, seeds=(0, 1))
    plain = run_sweep(study, SweepFolder(tmp_path / "plain"), console=QUIET)
    sweep = SweepFolder(tmp_path / "on-ray")
    search = Search(sweep, sweep.begin(study))
    with ray_cluster(tmp_path) as address:
        first = driver(sweep, address)
        at_work(sweep)
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=PATIENCE_S)[1]
        assert first.returncode == 130, said
        command = f"nearfar sweep --resume {sweep.path} --runner ray --runner.address {address}"
        assert command in said
        assert any(trial.state == "running" for trial in search.trials())
        assert not any(is_locked(run) for run in sweep.runs.iterdir())
        second = driver(sweep, address)
        os.kill(at_work(sweep), signal.SIGKILL)
        said = second.communicate(timeout=PATIENCE_S)[1]
        assert second.returncode == 0, said
    assert rows(search) == rows(plain)
    assert page(search) == page(plain)
    for trial in search.trials():
        for seed in trial.checks:
            mine, theirs = (each.folder.run(trial.number, seed) for each in (search, plain))
            assert same(weights(mine), weights(theirs))


def driver(sweep, address):
    words = ["--resume", str(sweep.path), "--workers", "2", "--runner", "ray"]
    return subprocess.Popen(
        [sys.executable, "-m", "nearfar", "sweep", *words, "--runner.address", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def at_work(sweep):
    """The process that is training a run and has made its first steps."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for run in sweep.runs.iterdir():
            if (run / names.METRICS).exists() and is_locked(run):
                return json.loads((run / names.LOCK).read_text())["pid"]
        time.sleep(0.02)
    raise AssertionError("no worker has begun a run")
