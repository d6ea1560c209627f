"""Runs read before they learn, repeat by their seed, and are never measured twice."""

import io
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from papers.bounds_bench import runs, training
from papers.bounds_bench.__main__ import main, runs_of
from papers.bounds_bench.runs import keep, kept, measure_missing, path_of
from papers.bounds_bench.tasks import TASKS
from papers.bounds_bench.training import READ_EVERY, TRAINED_AS, Run, measure
from rich.console import Console
from tools.machine import made_on

from nearfar.errors import NearfarError
from nearfar.estimators.specs import critic_bounds
from nearfar.information.specs import CriticSpec

BOUNDS = critic_bounds()
SMALL = CriticSpec(hidden=16, layers=1, embedding_dim=4)
SHORT = Run("uniform", "info_nce", seed=0, critic=SMALL, steps=20)


def nothing(step: int) -> None:
    pass


def test_every_bound_is_read_from_one_run():
    read = [
        bound
        for name in dict.fromkeys(TRAINED_AS.values())
        for bound in replace(SHORT, objective=name).readings
    ]
    assert sorted(read) == sorted(BOUNDS)
    assert replace(SHORT, objective="jensen_shannon").readings == ("jensen_shannon", "smile")


@pytest.mark.parametrize("objective", dict.fromkeys(TRAINED_AS.values()))
@pytest.mark.parametrize("kind", ["separable", "joint"])
def test_readings_repeat_by_their_seed(objective, kind):
    run = replace(SHORT, objective=objective, critic=replace(SMALL, kind=kind))
    found = measure(run, nothing)
    assert found.shape == (20 / READ_EVERY, len(run.readings))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(measure(run, nothing), found)
    assert not np.array_equal(measure(replace(run, seed=1), nothing), found)


def test_batches_are_read_before_they_are_learned_from():
    slow, fast = (
        measure(replace(SHORT, learning_rate=rate), nothing)[:, 0] for rate in (1e-9, 0.05)
    )
    assert slow[0] == fast[0]
    assert slow[1] != fast[1]


def test_learns_up_to_the_ceiling_and_all_levels_in_turn():
    run = Run("gaussian", "info_nce", 0, replace(SMALL, hidden=64), steps=120, learning_rate=3e-3)
    told = []
    found = measure(run, told.append)[:, 0]
    assert told == list(range(0, 600, READ_EVERY))
    assert (found <= math.log(64)).all()
    first, last = found[15:30].mean(), found[-15:].mean()
    assert 0.1 < first < 2
    assert last > first + 1


def test_a_step_that_is_not_finite_is_not_learned_from(monkeypatch):
    def objective(scores, _baseline, _average):
        return scores.paired.mean() * torch.nan

    plain = BOUNDS["info_nce"]
    broken = SimpleNamespace(
        objective=objective,
        estimate=plain.estimate,
        needs_baseline=plain.needs_baseline,
        needs_moving_average=plain.needs_moving_average,
    )
    monkeypatch.setitem(training.BOUNDS, "info_nce", broken)
    found = measure(SHORT, nothing)
    monkeypatch.setitem(training.BOUNDS, "info_nce", plain)
    untrained = measure(replace(SHORT, learning_rate=1e-12), nothing)
    np.testing.assert_allclose(found, untrained, atol=1e-5)


def test_what_is_there_is_not_measured_again(tmp_path, monkeypatch):
    measured = []

    def readings_of(run, tell):
        tell(0)
        measured.append(run)
        return np.full((5, 1), run.seed, np.float32)

    monkeypatch.setattr(runs, "measure", readings_of)
    wanted = [replace(SHORT, seed=seed) for seed in (0, 1, 2)]
    words = io.StringIO()
    measure_missing(wanted[:2], tmp_path / "runs", Console(file=words))
    measure_missing(wanted, tmp_path / "runs", Console(file=words))
    assert measured == wanted
    assert "2 of 3 runs are there" in words.getvalue()
    left = kept(wanted[2], tmp_path / "runs")
    assert left is not None
    assert (left.readings == 2).all()
    assert left.made_on == made_on()


def test_what_another_process_measures_meanwhile_is_left_to_it(tmp_path, monkeypatch):
    first, second = (replace(SHORT, seed=seed) for seed in (0, 1))

    def readings_of(run, tell):
        assert run == first
        keep(second, np.ones((5, 1)), tmp_path)
        return np.zeros((5, 1))

    monkeypatch.setattr(runs, "measure", readings_of)
    measure_missing([first, second], tmp_path, Console(file=io.StringIO()))
    left = kept(second, tmp_path)
    assert left is not None
    assert (left.readings == 1).all()


def test_refuses_damaged_runs_and_those_of_other_settings(tmp_path):
    keep(SHORT, np.zeros((5, 1)), tmp_path)
    with pytest.raises(NearfarError, match="other settings"):
        kept(replace(SHORT, steps=40), tmp_path)
    path_of(SHORT, tmp_path).write_bytes(b"PK torn")
    with pytest.raises(NearfarError, match="damaged"):
        kept(SHORT, tmp_path)


def test_all_of_a_seed_before_the_next():
    found = runs_of(tuple(TASKS), ("nwj", "smile", "jensen_shannon"), (0, 1), "joint")
    assert [run.seed for run in found] == [0] * 12 + [1] * 12
    assert {run.objective for run in found} == {"nwj", "jensen_shannon"}
    assert {run.critic.kind for run in found} == {"joint"}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--tasks", "gausian"], "did you mean 'gaussian'"),
        (["--bounds", "info_nse"], "did you mean 'info_nce'"),
    ],
)
def test_refuses_wrong_names_in_one_line(words, part, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert part in said
    assert said.count("\n") == 1
