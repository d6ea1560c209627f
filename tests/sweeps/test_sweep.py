"""Sweeps: every run once, whoever is killed; the best by its check alone; pages and tables."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from pyarrow import parquet
from rich.console import Console
from tests.sweeps.small_sweep import QUIET, TEMPERATURE, recipe_of, same, study_of, weights

from nearfar.cli import main
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError
from nearfar.recipes.run import run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.sweeps import work as working
from nearfar.sweeps.axes import RangeSpec, ValuesSpec
from nearfar.sweeps.engines import RandomSpec, TPESpec
from nearfar.sweeps.found_runs import find_runs
from nearfar.sweeps.running import run_sweep
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import best_first
from nearfar.sweeps.work import work
from nearfar.training.ends import Diverged, EndedEarly
from nearfar.training.interruption import Interrupted


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of two trials of two seeds, from its study to its page."""
    folder = tmp_path_factory.mktemp("swept")
    study = study_of(folder, seeds=(0, 1))
    console = Console(record=True, width=160, file=open(os.devnull, "w"))  # noqa: SIM115
    sweep = SweepFolder(folder / "sweep")
    search = run_sweep(study, sweep, console=console, table=folder / "all.parquet")
    return folder, search, console.export_text()


def test_every_trial_and_every_seed_is_trained_once(swept):
    _, search, told = swept
    trials = search.trials()
    assert [trial.state for trial in trials] == ["finished", "finished"]
    assert [set(trial.checks) for trial in trials] == [{0, 1}, {0, 1}]
    assert [trial.point for trial in trials] == [{TEMPERATURE: 0.25}, {TEMPERATURE: 0.5}]
    assert len(list(search.folder.runs.iterdir())) == 4
    assert told.count("done    trial") == 4
    assert "2 of 2 trials finished" in told


def test_the_check_is_that_of_held_out_images_and_test_images_choose_nothing(swept):
    _, search, told = swept
    first, second = best_first(search.trials())
    for trial in (first, second):
        for seed, check in trial.checks.items():
            run = RunFolder(search.folder.run(trial.number, seed))
            last = [line for line in run.read_metrics() if line["kind"] == "knn"][-1]
            assert (last["asked"], last["top1"]) == ("held out", check)
            # The runs of the chosen trial alone were ever judged.
            assert run.evaluation.is_file() is (trial is first)
    assert f"trial {first.number} has" in told


def test_table_page_and_listing(swept):
    folder, search, told = swept
    with search.folder.table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["seed"], row["state"]) for row in rows] == [
        ("0", "0", "finished"),
        ("0", "1", "finished"),
        ("1", "0", "finished"),
        ("1", "1", "finished"),
    ]
    assert float(rows[0]["check"]) == search.trial(0).checks[0]
    table = parquet.read_table(folder / "all.parquet").to_pydict()
    assert table[TEMPERATURE] == [0.25, 0.25, 0.5, 0.5]
    page = search.folder.page.read_text()
    assert "The check along each axis" in page
    assert "The check chose this trial, and it alone was judged" in page
    assert f"nearfar train simclr-digits --data npz --data.root {folder / 'images.npz'}" in page
    assert str(search.folder.page) in told
    runs, broken = find_runs(search.folder.path)
    assert [run.state for run in runs].count("trained") == 2
    assert not broken


def test_the_same_command_again_trains_nothing_and_another_study_is_refused(swept, monkeypatch):
    folder, search, _ = swept
    monkeypatch.setattr(working, "run_recipe", None)
    monkeypatch.setattr(working, "resume_run", None)
    before = search.folder.journal.read_bytes()
    run_sweep(search.study, search.folder, console=QUIET)
    assert search.folder.journal.read_bytes() == before
    other = replace(search.study, recipe=recipe_of(folder, epochs=3))
    with pytest.raises(NearfarError, match=r"recipe.training.epochs is 2 there, not 3"):
        run_sweep(other, search.folder, console=QUIET)
    with pytest.raises(NearfarError, match="holds no sweep"):
        run_sweep(search.study, SweepFolder(folder), console=QUIET)


def test_a_run_of_a_sweep_has_the_bits_of_the_run_alone(swept, tmp_path):
    _, search, _ = swept
    recipe = search.study.recipe_at({TEMPERATURE: 0.5}, 1)
    run_recipe(recipe, tmp_path / "alone", console=QUIET, judge=False)
    assert same(weights(tmp_path / "alone"), weights(search.folder.run(1, 1)))


def test_a_worker_that_is_killed_in_a_run_loses_and_doubles_nothing(swept, tmp_path):
    """Killed in the second epoch of its second run; another goes on to the same bits."""
    _, whole, _ = swept
    sweep = SweepFolder(tmp_path / "sweep")
    study = sweep.begin(replace(whole.study, minutes=None))
    code = (
        "import itertools, os, signal, sys\n"
        "from nearfar.training.step import Steps\n"
        "from nearfar.sweeps.search import Search\n"
        "from nearfar.sweeps.sweep_folder import SweepFolder\n"
        "from nearfar.sweeps.work import work\n"
        "steps, take = itertools.count(1), Steps.take\n"
        "def deadly(*arguments):\n"
        "    if next(steps) == 8:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return take(*arguments)\n"
        "Steps.take = deadly\n"
        "folder = SweepFolder(sys.argv[1])\n"
        "work(Search(folder, folder.read()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(sweep.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    search = Search(sweep, study)
    (begun,) = search.trials()
    assert (begun.state, set(begun.checks)) == ("running", {0})
    cut = RunFolder(sweep.run(0, 1))
    assert cut.config.is_file()
    assert not cut.encoder_settings.is_file()
    with sweep.journal.open("ab") as file:
        file.write(b'{"op_code": 8, "worker')  # as a disk that is full leaves it
    work(search)
    found, wanted = search.trials(), whole.trials()
    assert [(t.number, t.state, t.point, t.checks) for t in found] == [
        (t.number, t.state, t.point, t.checks) for t in wanted
    ]
    for trial in found:
        for seed in trial.checks:
            mine, theirs = sweep.run(trial.number, seed), whole.folder.run(trial.number, seed)
            assert same(weights(mine), weights(theirs))
    for line in sweep.journal.read_bytes().splitlines():
        json.loads(line)
    assert cut.read_environment()["resumed_at_steps"]


class Trained:
    """Stands in for training: checks are a function of the temperature, an epoch takes no time."""

    def __init__(self, monkeypatch, epochs, check=lambda temperature, epoch: epoch / 100):
        self.ran, self.epochs, self.check, self.asked = [], epochs, check, "held out"
        monkeypatch.setattr(working, "run_recipe", self)
        monkeypatch.setattr(working, "resume_run", lambda *_, **__: None)
        monkeypatch.setattr(working, "_judge", lambda *_: False)

    def __call__(self, recipe, out, *, after_check, **_):
        temperature, self.ran = recipe.method.objective.temperature, [*self.ran, out.name]
        folder = RunFolder.create(out)
        folder.write_environment({"seconds": 1.0})
        for epoch in range(1, self.epochs + 1):
            found = {"top1": self.check(temperature, epoch), "asked": self.asked}
            folder.append_metrics({"kind": "knn", "step": epoch, "epoch": float(epoch), **found})
            if told := after_check(epoch, found):
                raise EndedEarly(told)


def searched(tmp_path, **changes):
    sweep = SweepFolder(tmp_path / "sweep")
    axis = RangeSpec(setting=TEMPERATURE, low=0.01, high=1.0, log=True)
    recipe = recipe_of(tmp_path, epochs=9)
    study = Study(**{"recipe": recipe, "axes": (axis,), "trials": 12, **changes})
    return Search(sweep, sweep.begin(study))


def test_random_trials_are_the_same_in_any_number_of_sittings(tmp_path, monkeypatch):
    Trained(monkeypatch, 9)
    once = searched(tmp_path / "once", engine=RandomSpec(seed=3))
    work(once)
    parts = searched(tmp_path / "parts", engine=RandomSpec(seed=3), trials=5)
    work(parts)
    more = Search(parts.folder, parts.folder.begin(replace(parts.study, trials=12)))
    work(more)
    assert {trial.state for trial in once.trials() + more.trials()} == {"finished"}
    assert [t.point for t in once.trials()] == [t.point for t in more.trials()]
    values = [trial.point[TEMPERATURE] for trial in once.trials()]
    assert len(set(values)) == 12
    assert all(0.01 <= value <= 1.0 for value in values)
    assert sum(value < 0.1 for value in values) > 2  # ratios count


def test_values_that_were_all_tried_end_a_search(tmp_path, monkeypatch):
    Trained(monkeypatch, 9)
    axis = ValuesSpec(setting=TEMPERATURE, values=(0.25, 0.5, 1.0))
    for engine in (RandomSpec(), TPESpec()):
        search = searched(tmp_path / engine.name, axes=(axis,), engine=engine, trials=20)
        work(search)
        points = [trial.point[TEMPERATURE] for trial in search.trials()]
        assert sorted(points) == [0.25, 0.5, 1.0]
        assert {trial.state for trial in search.trials()} == {"finished"}


def test_tpe_looks_closer_where_trials_were_good(tmp_path, monkeypatch):
    Trained(monkeypatch, 9, lambda temperature, epoch: epoch / 10 - abs(temperature - 0.3) / 10)
    search = searched(tmp_path, engine=TPESpec(startup=8), trials=24)
    work(search)
    values = [trial.point[TEMPERATURE] for trial in search.trials()]
    apart = [abs(value - 0.3) for value in values]
    assert sum(apart[8:]) / 16 < sum(apart[:8]) / 8


@pytest.mark.parametrize("prune", ["median", "halving"])
def test_trials_that_are_behind_end_early_and_their_other_seeds_are_not_run(
    tmp_path, monkeypatch, prune
):
    trained = Trained(monkeypatch, 9, lambda temperature, epoch: epoch / 100 + temperature / 2)
    engine = RandomSpec(prune=prune, prune_after=3, prune_startup=2)
    search = searched(tmp_path, engine=engine, seeds=(4, 5))
    work(search)
    trials = search.trials()
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert {trial.state for trial in trials} == {"finished", "pruned"}
    assert all(3 <= max(trial.on_the_way) < 9 for trial in pruned)
    assert not any(f"{trial.number:04}-seed-5" in trained.ran for trial in pruned)
    best = best_first(trials)[0]
    assert best.point == max((trial.point for trial in trials), key=lambda p: p[TEMPERATURE])
    assert len(trained.ran) == len(set(trained.ran))


def test_what_fails_is_told_and_ends_nothing(tmp_path, monkeypatch):
    trained = Trained(monkeypatch, 9)

    def run(recipe, out, **more):
        if recipe.method.objective.temperature == 0.5:
            raise Diverged("stopped at step 3: the loss is nan")
        if recipe.method.objective.temperature == 1.0:
            raise RuntimeError("out of\nmemory")
        trained(recipe, out, **more)

    monkeypatch.setattr(working, "run_recipe", run)
    axis = ValuesSpec(setting=TEMPERATURE, values=(0.25, 0.5, 1.0))
    study = study_of(tmp_path, axes=(axis,), seeds=(0, 1))
    console = Console(record=True, width=160, file=open(os.devnull, "w"))  # noqa: SIM115
    search = run_sweep(study, SweepFolder(tmp_path / "sweep"), console=console)
    states = [(trial.state, trial.told) for trial in search.trials()]
    assert states == [
        ("finished", ""),
        ("failed", "seed 0: stopped at step 3: the loss is nan"),
        ("failed", "seed 0: RuntimeError: out of memory"),
    ]
    assert "1 of 3 trials finished, 2 failed" in console.export_text()
    assert "Trials that failed" in search.folder.page.read_text()


@pytest.mark.parametrize("prune", ["no", "median"])
def test_a_check_on_images_that_were_trained_on_chooses_nothing(tmp_path, monkeypatch, prune):
    Trained(monkeypatch, 9).asked = "trained on"
    search = searched(tmp_path, engine=RandomSpec(prune=prune), trials=2)
    work(search)
    told = "seed 0: no check on held-out training images was made"
    assert [(trial.state, trial.told) for trial in search.trials()] == [("failed", told)] * 2


def test_a_disk_that_refuses_stops_the_sweep_and_fails_no_trial(tmp_path, monkeypatch):
    Trained(monkeypatch, 9)

    def full(*_, **__):
        raise NearfarError("cannot write x: No space left on device")

    monkeypatch.setattr(working, "run_recipe", full)
    sweep = SweepFolder(tmp_path / "sweep")
    with pytest.raises(NearfarError, match="No space left"):
        run_sweep(study_of(tmp_path), sweep, console=QUIET)
    assert [t.state for t in Search(sweep, sweep.read()).trials()] == ["running"]


def test_a_journal_that_the_disk_refuses_is_one_line_and_fails_no_trial(tmp_path, monkeypatch):
    trained = Trained(monkeypatch, 9)
    sweep, study = SweepFolder(tmp_path / "sweep"), study_of(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(recipe, out, **more):
        trained(recipe, out, **more)
        room = sweep.journal.stat().st_size + 20
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))

    monkeypatch.setattr(working, "run_recipe", fill)
    try:
        with pytest.raises(NearfarError, match=r"^cannot write .*journal\.jsonl: File too large$"):
            run_sweep(study, sweep, console=QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (begun,) = Search(sweep, study).trials()
    assert (begun.state, begun.checks) == ("running", {})


def test_a_damaged_line_of_the_journal_is_told_whenever_it_is_read(tmp_path):
    search = searched(tmp_path, engine=RandomSpec())
    with search.folder.journal.open("ab") as file:
        file.write(b"{damaged}\n" + b"{}\n")
    with pytest.raises(NearfarError, match=r"journal\.jsonl is damaged"):
        search.trials()
    with pytest.raises(NearfarError, match=r"journal\.jsonl is damaged"):
        Search(search.folder, search.study)


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    Trained(monkeypatch, 9)

    def stopped(*_, **__):
        raise Interrupted("stopped by SIGINT after step 3", signal.SIGINT)

    monkeypatch.setattr(working, "run_recipe", stopped)
    sweep = SweepFolder(tmp_path / "sweep")
    with pytest.raises(Interrupted, match=f"go on with `nearfar sweep --resume {sweep.path}`") as e:
        run_sweep(study_of(tmp_path), sweep, console=QUIET)
    assert e.value.exit_code == 130
    assert sweep.page.is_file()


def test_data_without_labels_are_refused_before_training(tmp_path, monkeypatch):
    trained = Trained(monkeypatch, 9)
    source = load_source(recipe_of(tmp_path).data)
    nameless = replace(source, train=replace(source.train, labels=None))
    monkeypatch.setattr(working, "load_source", lambda _: nameless)
    with pytest.raises(NearfarError, match="has no labels, so that no check"):
        run_sweep(study_of(tmp_path), SweepFolder(tmp_path / "sweep"), console=QUIET)
    assert trained.ran == []


def test_no_trial_begins_after_the_time(tmp_path, monkeypatch):
    trained = Trained(monkeypatch, 9)
    search = searched(tmp_path, engine=RandomSpec(), trials=None, minutes=1.0)
    work(search, until=time.monotonic() - 1)
    assert trained.ran == []
    assert search.begin()
    work(search, until=time.monotonic() - 1)  # what began is finished
    assert trained.ran == ["0000-seed-0"]


def test_two_workers_share_the_work(swept, tmp_path):
    """Processes of their own, one thread on a core each; each run is trained by one of them."""
    _, whole, _ = swept
    sweep = SweepFolder(tmp_path / "sweep")
    search = run_sweep(whole.study, sweep, workers=2, console=QUIET)
    assert [t.checks for t in search.trials()] == [t.checks for t in whole.trials()]
    assert len(list(sweep.logs.iterdir())) == 2
    created = [line for line in sweep.journal.read_text().splitlines() if '"op_code":4' in line]
    assert len(created) == 2


def test_why_the_last_worker_ended_is_told(tmp_path):
    study = study_of(tmp_path)
    study.recipe.data.place.rename(tmp_path / "moved.npz")
    with pytest.raises(NearfarError, match=r"every worker has ended.*images\.npz.*--resume"):
        run_sweep(study, SweepFolder(tmp_path / "sweep"), workers=2, console=QUIET)
    trials = Search(SweepFolder(tmp_path / "sweep"), study).trials()
    # The second worker may begin one before it fails as the first did; both are gone on with.
    assert {trial.state for trial in trials} == {"running"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "sweep needs the name of a study or of a recipe first"),
        (["simclr-digit"], "did you mean 'simclr-digits'?"),
        (["simclr-digits", "--over", "training.batchsize", "1"], "did you mean"),
        (["simclr-digits", "--seed", "1"], "takes --seeds"),
        (["simclr-digits", "--data.held-out", "0"], "add --data.held-out 0.1"),
        (["simclr-digits", "--engine", "tpee"], "did you mean 'tpe'?"),
        (["simclr-digits", "--engine.prune", "median"], "prune"),
        (["simclr-digits", "--workers", "0"], "workers is 0"),
        (["simclr-digits", "--table", "x.txt"], "must end in .csv or .parquet"),
        (["simclr-digits", "--training.epoch", "1"], "--training.epoch"),
        (["--resume", "x", "--seeds", "1"], "leave --seeds out"),
        (["simclr-digits", "--resume", "x"], "leave simclr-digits out"),
    ],
)
def test_wrong_words_are_one_line_before_any_work(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_goes_on_with_a_folder(swept, capsys):
    _, search, _ = swept
    assert main(["sweep", "--resume", str(search.folder.path), "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "going on with 2 trials" in told
    assert str(search.folder.page) in told
    assert main(["sweep", "--resume", str(search.folder.runs)]) == 1
    assert "holds no sweep" in capsys.readouterr().err
