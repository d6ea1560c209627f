"""The bench's figures are those of the readings, and the page is what the measurements say."""

import io
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from papers.bounds_bench import compare, finite_samples
from papers.bounds_bench.__main__ import PAGE, runs_of
from papers.bounds_bench.finite_samples import SampleSet, by_peer, estimate_missing, kept
from papers.bounds_bench.page import HEAD, page
from papers.bounds_bench.runs import keep
from papers.bounds_bench.summary import curve_rows, level_rows
from papers.bounds_bench.tasks import TASKS
from papers.bounds_bench.training import TRAINED_AS, Run
from papers.bounds_bench.writing import write
from papers.measurements import values, where
from rich.console import Console
from tools.machine import made_on

import nearfar
from nearfar.errors import NearfarError

SEEDS = (0, 1)


def made_up(run: Run) -> np.ndarray:
    """Readings about the truth, as many as a run has."""
    random = np.random.default_rng(run.seed)
    truth = np.repeat(TASKS[run.task].levels, run.steps // 4)[:, None]
    noise = random.standard_normal((len(truth), len(run.readings)))
    return (truth + 0.1 * noise).astype(np.float32)


def test_page_is_made_from_the_committed_measurements():
    assert PAGE.read_text() == page(PAGE.with_suffix("")), (
        "run `python -m papers.bounds_bench --write-only`"
    )


def test_levels_are_judged_by_their_last_quarter():
    run = Run("gaussian", "nwj", seed=0)
    readings = np.full((5000, 1), 99, np.float32)
    for place, information in enumerate((2, 4, 6, 8, 10)):
        end = 1000 * (place + 1)
        readings[end - 250 : end, 0] = np.tile([information + 1, information - 0.5], 125)
    readings[999, 0] = -np.inf
    rows = level_rows({run: readings})
    assert list(rows["information"]) == [2, 4, 6, 8, 10]
    assert values(rows, "bias")[1:] == pytest.approx([0.25] * 4)
    assert values(rows, "sd")[1:] == pytest.approx([0.75] * 4)
    assert values(rows, "mse")[1:] == pytest.approx([0.625] * 4)
    assert list(rows["not_finite"]) == [1, 0, 0, 0, 0]
    assert values(rows, "bias")[0] == pytest.approx((0.25 * 250 + 0.5) / 249, abs=1e-6)


def test_curves_have_a_point_for_every_200_steps():
    run = Run("uniform", "jensen_shannon", seed=3)
    readings = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    rows = where(curve_rows({run: readings}), bound="smile")
    assert list(rows["step"]) == list(range(100, 4000, 200))
    assert values(rows, "mean")[0] == np.arange(1, 100, 2).mean()
    assert values(rows, "low")[0] == 5


def test_only_whole_tasks_are_written(tmp_path):
    out, page_path = tmp_path / "runs", tmp_path / "bench.md"
    out.mkdir()
    for task in ("student_t", "gaussian", "cubed"):
        runs = runs_of((task,), tuple(TRAINED_AS), SEEDS, "separable")
        for run in runs[:-1]:
            keep(run, made_up(run), out)
        assert write(task, runs, out, page_path) == 1
        keep(runs[-1], made_up(runs[-1]), out)
        assert write(task, runs, out, page_path) == 0
    text, folder = page_path.read_text(), tmp_path / "bench"
    assert text.startswith(HEAD)
    assert "![Estimates on the staircase](bench/separable_staircase.svg)" in text
    assert "| bias | 2 nats | 4 nats | 6 nats | 8 nats | 10 nats |" in text
    assert f"separable_curves.csv). {made_on()}." in text
    assert "| bias | Student's t, ν = 3, d = 5 |" in text
    assert text.count("Not measured yet") == 2  # joint critics and finite samples
    drawn = (folder / "separable_staircase.svg").read_bytes()
    levels = (folder / "separable_levels.csv").read_bytes()
    again = runs_of(("cubed",), tuple(TRAINED_AS), SEEDS, "separable")
    assert write("cubed", again, out, page_path) == 0
    assert (folder / "separable_staircase.svg").read_bytes() == drawn
    assert (folder / "separable_levels.csv").read_bytes() == levels


def test_finite_samples_come_onto_the_page(tmp_path, monkeypatch):
    def ours(samples):
        shared = {"made_on": "nearfar 9"}
        return [shared | {"estimator": "InfoNCE", "estimate": 1.5 + samples.seed, "warned": True}]

    def peers(samples, python):
        shared = {"made_on": "peer 9", "warned": False}
        estimate = float("nan") if samples.task == "cubed" else 1.0
        return [shared | {"estimator": "NWJ", "estimate": estimate}]

    monkeypatch.setattr(finite_samples, "by_nearfar", ours)
    monkeypatch.setattr(finite_samples, "by_peer", peers)
    words, page_path = io.StringIO(), tmp_path / "bench.md"
    plain = compare.Arguments(seeds=SEEDS, out=tmp_path / "runs")
    compare.compare(plain, page_path, Console(file=words))
    assert "10 estimates are missing" in words.getvalue()
    assert not page_path.exists()
    compare.compare(replace(plain, peer_python=Path("python")), page_path, Console(file=words))
    text = page_path.read_text()
    assert "| nearfar: InfoNCE | 2.00 ± 0.71 † |" in text
    assert "| benchmark-mi: NWJ | 1.00 | not finite in 2 of 2 |" in text
    assert "| – |" in text  # of pictures the peer says nothing
    assert "nearfar 9; peer 9" in text
    assert len(pd.read_csv(tmp_path / "bench" / "finite_samples.csv")) == 22


def test_ours_estimates_from_the_samples(tmp_path, monkeypatch):
    shortened = partial(nearfar.estimate_mi, max_steps=100)
    monkeypatch.setattr(finite_samples.nearfar, "estimate_mi", shortened)
    monkeypatch.setattr(finite_samples, "BOUNDS", ("info_nce",))
    samples = SampleSet("uniform", 0, count=1100)
    estimate_missing([samples], tmp_path, None, Console(file=io.StringIO()))
    rows = kept(samples, tmp_path, "nearfar")
    assert rows is not None
    found = {row["estimator"]: row["estimate"] for row in rows}
    assert 0.1 < found["InfoNCE"] < 2.3
    assert 0.6 < found["KSG"] < 2.3
    with pytest.raises(NearfarError, match="other samples"):
        kept(SampleSet("uniform", 0, count=1101), tmp_path, "nearfar")


def test_an_interpreter_without_the_peer_is_refused_in_one_line(capsys, tmp_path):
    with pytest.raises(NearfarError, match="it has no benchmark-mi"):
        by_peer(SampleSet("uniform", 0, count=10), Path(sys.executable))
    with pytest.raises(NearfarError, match="No such file"):
        by_peer(SampleSet("uniform", 0, count=10), tmp_path / "python")
    assert compare.main(["--tasks", "gausian"]) == 2
    assert "did you mean 'gaussian'" in capsys.readouterr().err
