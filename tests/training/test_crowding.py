import pytest
import torch

from nearfar.training import crowding
from nearfar.training.crowding import crowding_note

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretends a machine of two cores on which so many threads run beside this one."""

    def pretend(others: int, threads: int):
        listing = tmp_path / "loadavg"
        listing.write_text(f"0.20 0.18 0.12 {others + 1}/80 11206\n")
        monkeypatch.setattr(crowding, "_LOADAVG", listing)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    return pretend


def test_threads_that_outnumber_the_free_cores_are_told(machine):
    machine(others=1, threads=2)
    note = crowding_note(CPU)
    assert note is not None
    assert "OMP_NUM_THREADS=1" in note


@pytest.mark.parametrize(("others", "threads"), [(0, 2), (5, 1), (0, 1)])
def test_nothing_is_said_where_all_is_well(machine, others, threads):
    machine(others, threads)
    assert crowding_note(CPU) is None


def test_a_gpu_does_not_mind(machine):
    machine(others=5, threads=2)
    assert crowding_note(torch.device("cuda:0")) is None


def test_a_passing_peak_is_no_crowd(machine, monkeypatch):
    machine(others=0, threads=2)
    readings = iter(["4/80", "1/80", *["3/80"] * 20])
    monkeypatch.setattr(
        "pathlib.Path.read_text", lambda self: f"0.2 0.2 0.1 {next(readings)} 11206"
    )
    assert crowding_note(CPU) is None


def test_a_system_that_does_not_say_is_left_alone(machine, monkeypatch, tmp_path):
    machine(others=5, threads=2)
    monkeypatch.setattr(crowding, "_LOADAVG", tmp_path / "missing")
    assert crowding_note(CPU) is None
