"""How far a sweep is: by epochs and batch size, as fast as it went lately, and on its page."""

import io
import time
from itertools import pairwise, repeat

import pytest
from rich.console import Console
from tests.sweeps.small_sweep import QUIET, recipe_of

from nearfar.sweeps import running, watching
from nearfar.sweeps.axes import ValuesSpec
from nearfar.sweeps.chosen_figures import ChosenFigure, headline
from nearfar.sweeps.engines import RandomSpec
from nearfar.sweeps.progress import Pace, in_words, progress
from nearfar.sweeps.running import run_sweep
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import Trial
from nearfar.sweeps.watching import Watch
from nearfar.training.interruption import Interrupted

EPOCHS = ValuesSpec(setting="training.epochs", values=(10, 20, 70))
BATCH = ValuesSpec(setting="training.batch_size", values=(8, 16, 32))


def study_over(folder, *axes, **changes):
    recipe = recipe_of(folder, epochs=50, knn_every=1)
    return Study(**{"recipe": recipe, "axes": axes, "seeds": (0, 1), **changes})


def finished(number, point, seconds=1.0):
    return Trial(number, "finished", point, {0: 0.5, 1: 0.5}, {0: seconds, 1: seconds})


def test_a_run_counts_by_its_epochs(tmp_path):
    study = study_over(tmp_path, EPOCHS)
    point = {"training.epochs": 10}
    assert progress(study, [], lambda *_: 0).share == 0
    found = progress(study, [finished(0, point)], lambda *_: 0)
    assert (found.whole, found.total, found.text) == (2, 6, "2 of 6 runs")
    assert found.share == pytest.approx(0.1)
    second = Trial(1, "running", {"training.epochs": 20}, {1: 0.5})
    parts = progress(study, [finished(0, point), second], lambda _, seed: 5.0 if seed == 0 else 0)
    assert parts.whole == 3
    assert parts.share == pytest.approx((20 + 20 + 5) / 200)
    # An ended trial is over with all its seeds.
    ended = Trial(1, "failed", {"training.epochs": 20})
    assert progress(study, [finished(0, point), ended], lambda *_: 0).share == pytest.approx(0.3)


def test_an_epoch_counts_as_those_of_its_batch_size_took(tmp_path):
    study = study_over(tmp_path, BATCH)
    first = finished(0, {"training.batch_size": 8}, seconds=60.0)
    assert progress(study, [first], lambda *_: 0).share == pytest.approx(1 / 3)
    second = finished(1, {"training.batch_size": 16}, seconds=20.0)
    # The third is as long as the mean of those that are known.
    assert progress(study, [first, second], lambda *_: 0).share == pytest.approx(80 / 120)


def test_what_will_be_drawn_is_like_what_was(tmp_path):
    drawn = study_over(tmp_path, EPOCHS, engine=RandomSpec(), trials=3)
    found = progress(drawn, [finished(0, {"training.epochs": 70})], lambda *_: 0)
    assert found.share == pytest.approx(1 / 3)
    by_time = study_over(tmp_path, EPOCHS, engine=RandomSpec(), minutes=5.0)
    found = progress(by_time, [finished(0, {"training.epochs": 70})], lambda *_: 0)
    assert (found.total, found.share, found.text) == (None, 0.0, "2 runs")
    assert in_words(found, None) == "2 runs are done"


def simulated(study, cost, speeds):
    """The time left that is told after each second, and that there was.

    Args:
        study: Two seeds of each point, trained one after the other.
        cost: Seconds that a run of a point takes where nothing else runs.
        speeds: Of each second, 1 where nothing else runs.
    """
    points, clock, came, told, trials = list(study.grid()), 0.0, 0.0, [], []
    pace = Pace(progress(study, [], lambda *_: 0.0), now=lambda: clock)
    for speed in speeds:
        clock, came = clock + 1, came + speed
        if came >= 2 * cost(points[len(trials)]):
            trials.append(finished(len(trials), points[len(trials)], cost(points[len(trials)])))
            came = 0.0
        if len(trials) == len(points):
            break
        point = points[len(trials)]
        share = came / (2 * cost(point))
        running = Trial(len(trials), "running", point)
        epochs = share * point.get("training.epochs", 50)
        found = progress(study, [*trials, running], lambda *_, epochs=epochs: epochs)
        told.append((clock, pace.left(found)))
    return [(left, clock - at) for at, left in told]


def test_the_time_left_is_near_the_truth_along_epochs_and_beside_busy_programs(tmp_path):
    study = study_over(tmp_path, EPOCHS)
    steady = simulated(study, lambda point: 5.0 * point["training.epochs"], repeat(1.0))
    assert all(left == pytest.approx(truth, rel=0.05, abs=3) for left, truth in steady[20:])
    # Of 1000 seconds' work the first 100 beside others at a fifth of the speed.
    busy = (0.2 if second < 500 else 1.0 for second in range(10_000))
    told = simulated(study, lambda point: 5.0 * point["training.epochs"], busy)
    # When as long again has passed, what was before is forgotten.
    assert all(left == pytest.approx(truth, rel=0.05, abs=3) for left, truth in told[1001:])


def test_too_little_is_no_time(tmp_path):
    study = study_over(tmp_path, EPOCHS)
    clock = iter(range(100))
    pace = Pace(progress(study, [], lambda *_: 0), now=lambda: next(clock))
    running = [Trial(0, "running", {"training.epochs": 10})]
    assert pace.left(progress(study, running, lambda *_: 0.0)) is None
    assert pace.left(progress(study, running, lambda *_: 0.1)) is None
    assert pace.left(progress(study, running, lambda *_: 1.0)) == pytest.approx(
        198
    )  # an epoch a second


def test_of_a_long_sitting_few_marks_are_kept(tmp_path):
    study = study_over(tmp_path, EPOCHS)
    running = [Trial(0, "running", {"training.epochs": 10})]
    now = 0.0
    pace = Pace(progress(study, [], lambda *_: 0), now=lambda: now)
    found = progress(study, running, lambda *_: 1.0)
    for second in range(1, 20_000):
        now = float(second)
        pace.left(found)
    assert len(pace._marks) < 300


@pytest.fixture
def search(tmp_path):
    sweep = SweepFolder(tmp_path / "sweep")
    return Search(sweep, sweep.begin(study_over(tmp_path, EPOCHS)))


def test_the_page_is_there_while_a_sweep_runs_and_written_seldom(search, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch, page = Watch(search, Console(quiet=True)), search.folder.page
    search.begin()
    watch.look()
    text = page.read_text()
    assert "Not finished.</strong> Under way at" in text
    assert "0 of 6 runs are done." in text
    for seed in (0, 1):
        search.finish_run(0, seed, 0.75, 30.0)
    now += 30
    watch.look()
    assert page.read_text() == text
    now += 31
    watch.look()
    assert "2 of 6 runs are done, about " in page.read_text()
    assert "Trial 0 checks best" in page.read_text()
    page.unlink()
    now += 61
    watch.look()  # nothing has come, nothing is written
    assert not page.exists()


def test_a_page_that_cannot_be_written_stops_no_line_and_is_tried_again(search):
    page, told = search.folder.page, io.StringIO()
    page.mkdir()
    watch = Watch(search, Console(file=told, width=200))
    search.begin()
    search.finish_run(0, 0, 0.75, 30.0)
    watch.look()
    assert "done    trial 0, seed 0: 75.0 %" in told.getvalue()
    page.rmdir()
    watch._page_due = 0.0
    watch.look()
    assert "1 of 6 runs are done" in page.read_text()


def test_writing_pages_takes_a_hundredth_of_the_time(search, monkeypatch):
    now, written = [100.0], []

    def slow(*_):
        now[0] += 2.0
        written.append(now[0])

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watching, "write_page", slow)
    watch = Watch(search, Console(quiet=True))
    search.begin()
    for _ in range(1000):
        watch._on_page = -1.0  # as if something had come
        watch.look()
        now[0] += 1.0
    gaps = [later - one for one, later in pairwise(written)]
    assert written
    assert min(gaps) >= 200


def test_a_sweep_that_is_stopped_says_so_on_its_page(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise Interrupted("stopped by SIGINT after step 3", 2)

    study, sweep = study_over(tmp_path, EPOCHS), SweepFolder(tmp_path / "sweep")
    monkeypatch.setattr("nearfar.sweeps.local_workers.work", stopped)
    with pytest.raises(Interrupted):
        run_sweep(study, sweep, console=QUIET)
    page = sweep.page.read_text()
    assert "Stopped when 0 of 6 runs were done; `nearfar sweep --resume" in page
    monkeypatch.setattr("nearfar.sweeps.local_workers.work", lambda *_, **__: None)
    running.run_sweep(study, sweep, console=QUIET)
    assert "Not finished" not in sweep.page.read_text()


def test_the_headline_is_one_figure_of_each_protocol_and_curves_come_last():
    names = [
        ("1 label", "few_labels", True),
        ("5 labels", "few_labels", True),
        ("all labels", "linear_probe", False),
        ("kNN, k=200", "knn", False),
        ("kNN, k=20", "knn", False),
    ]
    figures = [ChosenFigure(*each, {}) for each in names]
    assert [each.title for each in headline(figures)] == ["all labels", "kNN, k=200"]
    assert [each.title for each in headline(figures[:3])] == ["all labels", "1 label"]
    assert headline([]) == []
