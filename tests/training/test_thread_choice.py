import shutil
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from test_killed import assert_same_run
from tiny_run import TINY, train_tiny

from nearfar.run_folder.folder import RunFolder
from nearfar.training import thread_choice
from nearfar.training.thread_choice import ThreadChoice

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """A clock that moves by what a step takes with the threads that compute, and nothing else."""

    def __init__(self, monkeypatch, seconds: dict[int, float]):
        self.seconds, self.now, self.threads, self.said = seconds, 0.0, max(seconds), []
        self.measured = 0
        monkeypatch.setattr(thread_choice.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(torch, "get_num_threads", lambda: self.threads)
        monkeypatch.setattr(torch, "set_num_threads", lambda count: setattr(self, "threads", count))
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)

    def choice(self, device=CPU, **settings) -> ThreadChoice:
        return ThreadChoice(device, say=self.said.append, **settings)

    def compute(self) -> None:
        self.now += self.seconds[self.threads]

    def work(self):
        self.measured += 1
        return self.compute

    def steps(self, choice: ThreadChoice, count: int) -> None:
        for _ in range(count):
            choice.before_step(self.work)
            self.compute()
            choice.after_step()


@pytest.mark.parametrize(
    ("seconds", "fastest"),
    [
        ({1: 1.0, 2: 0.6}, 2),
        ({1: 1.0, 2: 30.0}, 1),
        ({1: 1.0, 2: 0.98}, 1),
        ({1: 8.0, 2: 4.0, 4: 2.0, 8: 1.1, 16: 1.0}, 16),
        ({1: 8.0, 2: 4.0, 4: 2.0, 8: 1.1, 16: 90.0}, 8),
        ({1: 0.4, 3: 0.2, 6: 0.1}, 6),
    ],
)
def test_the_fastest_count_is_taken_and_of_equals_the_smaller(monkeypatch, seconds, fastest):
    machine = Machine(monkeypatch, seconds)
    choice = machine.choice()
    machine.steps(choice, 1)
    assert machine.threads == fastest
    said = [f"computing with {fastest} thread" in line for line in machine.said]
    assert said == ([] if fastest == max(seconds) else [True])


def test_counts_beyond_a_clearly_slower_one_are_not_tried(monkeypatch):
    machine = Machine(monkeypatch, {1: 1000.0, 2: 100.0, 4: 10.0, 8: 1.0})
    machine.steps(machine.choice(), 1)
    assert machine.now < 20


def test_a_fall_by_half_is_reason_to_look_again(monkeypatch):
    machine = Machine(monkeypatch, {1: 1.0, 2: 0.6})
    choice = machine.choice()
    machine.steps(choice, 100)
    assert (machine.threads, machine.measured) == (2, 1)
    machine.seconds = {1: 1.5, 2: 30.0}
    machine.steps(choice, 8)
    assert machine.threads == 1
    assert machine.said == [
        "computing with 1 thread from here on, the fastest count measured now: 1.5 s a step "
        "(2 threads 30 s)"
    ]


def test_a_single_slow_step_is_none(monkeypatch):
    machine = Machine(monkeypatch, {1: 1.0, 2: 0.6})
    choice = machine.choice()
    machine.steps(choice, 50)
    machine.seconds = {1: 1.0, 2: 60.0}
    machine.steps(choice, 1)
    machine.seconds = {1: 1.0, 2: 0.6}
    machine.steps(choice, 50)
    assert machine.measured == 1


def test_threads_come_back_when_the_cores_do_and_looking_stays_cheap(monkeypatch):
    machine = Machine(monkeypatch, {1: 1.0, 2: 30.0})
    choice = machine.choice()
    machine.steps(choice, 2)  # looking took 34 s, so it comes again after 3,400
    machine.seconds = {1: 1.0, 2: 0.6}
    machine.steps(choice, 3000)
    assert (machine.threads, machine.measured) == (1, 1)
    machine.steps(choice, 1000)
    assert (machine.threads, machine.measured) == (2, 2)
    assert machine.said[1].startswith("computing with 2 threads from here on")


def test_a_machine_that_stays_slow_is_not_measured_again_and_again(monkeypatch):
    machine = Machine(monkeypatch, {1: 1.0, 2: 0.6})
    choice = machine.choice()
    machine.steps(choice, 200)
    machine.seconds = {1: 4.0, 2: 2.4}
    machine.steps(choice, 500)
    assert machine.threads == 2
    assert machine.measured == 2
    assert machine.said == []  # nothing changed


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_environment_goes_first(monkeypatch, variable):
    machine = Machine(monkeypatch, {1: 1.0, 2: 30.0})
    monkeypatch.setenv(variable, "2")
    machine.steps(machine.choice(), 20)
    assert (machine.threads, machine.measured, machine.said) == (2, 0, [])


@pytest.mark.parametrize(
    ("device", "settings"),
    [(torch.device("cuda"), {}), (CPU, {"alone": False}), (CPU, {"threads": 2})],
)
def test_nothing_is_measured_on_a_gpu_among_ranks_or_where_the_count_is_set(
    monkeypatch, device, settings
):
    machine = Machine(monkeypatch, {1: 1.0, 2: 30.0})
    with machine.choice(device, **settings) as choice:
        machine.steps(choice, 20)
        assert (machine.threads, machine.measured) == (2, 0)


def test_a_count_that_is_set_holds_inside_and_the_callers_comes_back(monkeypatch):
    machine = Machine(monkeypatch, {1: 1.0, 2: 0.6})
    with machine.choice(threads=1):
        assert machine.threads == 1
    assert machine.threads == 2
    machine.seconds = {1: 1.0, 2: 30.0}
    with machine.choice() as choice:
        machine.steps(choice, 1)
        assert machine.threads == 1
    assert machine.threads == 2


def test_a_checkpoints_count_is_kept_unless_it_cannot_be(monkeypatch):
    machine = Machine(monkeypatch, {1: 1.0, 2: 0.6})
    choice = machine.choice()
    assert choice.keep(1)
    machine.steps(choice, 20)
    assert (machine.threads, machine.measured) == (1, 0)
    assert not machine.choice().keep(64)
    with machine.choice(threads=2) as choice:
        assert not choice.keep(1)


def test_measuring_leaves_the_run_as_if_nothing_had_been_measured(monkeypatch, tmp_path):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    measured = []

    def fewer_are_faster(work) -> float:
        work()
        work()
        measured.append(torch.get_num_threads())
        return float(torch.get_num_threads())

    monkeypatch.setattr(thread_choice, "_seconds_of_a_step", fewer_are_faster)
    train_tiny(tmp_path / "measured", threads=2)
    assert measured == [2, 1]
    assert torch.get_num_threads() == 2
    train_tiny(tmp_path / "plain")
    assert_same_run(tmp_path / "measured", tmp_path / "plain")
    environment = RunFolder(tmp_path / "measured").read_environment()
    assert (environment["threads"], "1 thread," in environment["hardware"]) == (1, True)


def test_a_resumed_run_keeps_the_count_or_says_that_it_changes(monkeypatch, tmp_path, capsys):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    train_tiny(tmp_path / "run", replace(TINY, epochs=2))
    monkeypatch.setattr(thread_choice, "_seconds_of_a_step", lambda work: pytest.fail("measured"))
    more = {"resume": True, "console": Console()}
    shutil.copytree(tmp_path / "run", tmp_path / "kept")
    (newest := max((tmp_path / "kept" / "checkpoints").iterdir())).unlink()
    max((tmp_path / "kept" / "checkpoints").iterdir()).unlink()
    assert newest.suffix == ".safetensors"
    shutil.copytree(tmp_path / "kept", tmp_path / "changed")
    train_tiny(tmp_path / "kept", replace(TINY, epochs=2), threads=2, **more)
    assert "was made with threads" not in capsys.readouterr().out
    assert_same_run(tmp_path / "kept", tmp_path / "run")
    train_tiny(tmp_path / "changed", replace(TINY, epochs=2, threads=2), threads=2, **more)
    assert "was made with threads 1, this is 2" in " ".join(capsys.readouterr().out.split())
