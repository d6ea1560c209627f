"""A run in a tracker, which takes all, fails, hangs or comes back: the run stays the same."""

import json
import threading
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import ClassVar, Literal

import pytest
from rich.console import Console
from tests.recipes.small_recipe import light_recipe
from tiny_run import TINY, train_tiny

from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.training import tracker
from nearfar.training.ends import EndedEarly
from nearfar.training.tracker import Begun, TrackedRun, Tracking
from nearfar.training.tracker_specs import (
    MLflowSpec,
    TrackerSpec,
    TrackioSpec,
    WandbSpec,
)

RUN = TrackedRun("0123456789abcdef", "digits", {"seed": 0})


class Kept:
    """A tracker that keeps all it is told, by run."""

    runs: ClassVar[dict[str, "Kept"]] = {}

    def __init__(self, spec=None, *, fails=(), last=0):
        self.fails, self.last = fails, last
        self.told, self.thread = [], None

    def begin(self, run):
        self.thread = threading.current_thread()
        earlier = Kept.runs.get(run.id)
        Kept.runs[run.id] = self
        self.run, self.told = run, earlier.told if earlier else []
        self._maybe_fail("begin")
        steps = [told[1] for told in self.told if told[0] == "scalars"]
        return Begun("here", max(steps, default=self.last))

    def scalars(self, step, values):
        self._maybe_fail("scalars")
        self.told.append(("scalars", step, dict(values)))

    def files(self, paths):
        self._maybe_fail("files")
        self.told.append(("files", [path.name for path in paths]))

    def end(self, *, failed):
        self._maybe_fail("end")
        self.told.append(("end", failed))

    def _maybe_fail(self, what):
        if what in self.fails:
            raise SystemExit(f"{what} \x1b[31mwent wrong\nand more")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(Kept, "runs", {})


@pytest.fixture
def own_tracker(monkeypatch):
    """The spec of a tracker of another package."""
    monkeypatch.setattr(TrackerSpec, "choices", dict(TrackerSpec.known()))

    class KeptSpec(TrackerSpec):
        target: ClassVar[str] = f"{__name__}:Kept"
        title: ClassVar[str] = "Kept"
        name: Literal["kept"] = "kept"

    return KeptSpec()


def tracked_recipe(folder, spec, **changes):
    recipe = light_recipe(folder)
    return replace(recipe, training=replace(recipe.training, tracker=spec, **changes))


def steps_of(run):
    return [record["step"] for record in run.read_metrics() if record["kind"] == "step"]


def lines_of(console):
    return [line.strip() for line in console.file.getvalue().splitlines() if "tracker" in line]


def quiet_console():
    import io

    return Console(file=io.StringIO(), width=200)


def test_a_run_is_tracked_from_its_settings_to_its_page_and_is_the_same_run(tmp_path, own_tracker):
    console = quiet_console()
    plain, seen = RunFolder(tmp_path / "plain"), RunFolder(tmp_path / "seen")
    run_recipe(light_recipe(tmp_path), plain.path, console=quiet_console())
    run_recipe(tracked_recipe(tmp_path, own_tracker), seen.path, console=console)

    (kept,) = Kept.runs.values()
    assert kept.run.id == seen.manifest.state().id
    assert kept.run.name == "seen"
    assert kept.run.config["training.epochs"] == 2
    assert kept.thread is not threading.main_thread()
    assert lines_of(console) == ["tracker  Kept: here"]
    losses = [
        (told[1], told[2]["train/loss"])
        for told in kept.told
        if told[0] == "scalars" and "train/loss" in told[2]
    ]
    assert losses == [(r["step"], r["loss"]) for r in seen.read_metrics() if r["kind"] == "step"]
    assert any("knn/top1" in told[2] for told in kept.told if told[0] == "scalars")
    (judged,) = [t[2] for t in kept.told if t[0] == "scalars" and "judged/knn/encoder/top1" in t[2]]
    assert judged["judged/knn/encoder/top1"] == seen.read_evaluation()[0]["value"]
    assert kept.told[-1] == ("end", False)
    assert {"report.html", "config.json", "evaluation.json"} <= set(kept.told[-2][1])
    assert plain.encoder_weights.read_bytes() == seen.encoder_weights.read_bytes()


def test_a_run_that_is_gone_on_with_goes_on_there_and_doubles_nothing(tmp_path, own_tracker):
    recipe = tracked_recipe(tmp_path, own_tracker, epochs=3)
    run = tmp_path / "run"
    with pytest.raises(EndedEarly):
        run_recipe(
            recipe,
            run,
            console=quiet_console(),
            after_check=lambda epoch, _: "enough" if epoch == 1 else None,
        )
    (kept,) = Kept.runs.values()
    assert kept.told[-1] == ("end", True)
    resume_run(run, console=quiet_console())
    (again,) = Kept.runs.values()
    assert again is not kept
    steps = [t[1] for t in again.told if t[0] == "scalars" and "train/loss" in t[2]]
    assert steps == steps_of(RunFolder(run))
    assert again.told[-1] == ("end", False)


def test_steps_that_the_tracker_has_from_before_a_kill_are_left_out():
    kept = Kept(last=3)
    with Tracking(kept, "Kept", RUN, lambda _: None) as tracking:
        for step in range(1, 6):
            tracking.scalars(step, {"train/loss": 0.5})
        tracking.scores(2, {"judged": 1.0})
    assert [told[1] for told in kept.told if told[0] == "scalars"] == [4, 5, 2]


@pytest.mark.parametrize("fails", ["begin", "scalars", "files", "end"])
def test_a_tracker_that_fails_is_told_in_a_line_and_left_out(fails, tmp_path):
    kept, said = Kept(fails=(fails,)), []
    with Tracking(kept, "Kept", RUN, said.append) as tracking:
        tracking.scalars(1, {"train/loss": 0.5})
        tracking.files([tmp_path / "not there"])
    assert said[-1] == f"Kept failed and is left out from here on: {fails} \x1b[31mwent wrong"
    assert said[:-1] == ([] if fails == "begin" else ["Kept: here"])
    order = ["begin", "scalars", "files", "end"]
    assert [told[0] for told in kept.told] == order[1 : max(1, order.index(fails))]


def test_a_run_whose_tracker_fails_goes_on_to_its_page(tmp_path, own_tracker, monkeypatch):
    monkeypatch.setattr(Kept, "scalars", lambda *_: 1 / 0)
    console = quiet_console()
    run = RunFolder(tmp_path / "run")
    run_recipe(tracked_recipe(tmp_path, own_tracker, epochs=1), run.path, console=console)
    assert run.report.is_file()
    told = [line for line in lines_of(console) if "failed" in line]
    assert told == ["tracker  Kept failed and is left out from here on: division by zero"]


def test_a_tracker_that_hangs_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(tracker, "_BEGIN_SECONDS", 0.05)
    monkeypatch.setattr(tracker, "_END_SECONDS", 0.05)
    release = threading.Event()

    class Hangs(Kept):
        def begin(self, run):
            release.wait(20)
            return super().begin(run)

    said = []
    with Tracking(Hangs(), "Kept", RUN, said.append) as tracking:
        tracking.scalars(1, {"train/loss": 0.5})
    assert said == ["Kept has not taken all in 0 s and is left behind"]
    release.set()
    tracking._thread.join(20)


def test_an_error_of_the_run_goes_on_as_it_is(own_tracker):
    kept = Kept()
    with pytest.raises(NearfarError, match="diverged"), Tracking(kept, "K", RUN, lambda _: None):
        raise NearfarError("diverged")
    assert kept.told == [("end", True)]


def test_a_tracker_decides_nothing_of_a_checkpoint(tmp_path):
    train_tiny(tmp_path, replace(TINY, epochs=2))
    train_tiny(tmp_path, replace(TINY, epochs=2, tracker=WandbSpec()), resume=True)


def test_one_that_is_not_installed_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("nearfar.training.tracker_specs.find_spec", lambda name: None)
    with pytest.raises(
        SettingError, match=r"tracker is wandb, which is not installed: .*\[wandb\]"
    ):
        run_recipe(tracked_recipe(tmp_path, WandbSpec()), tmp_path / "run", console=quiet_console())
    assert not (tmp_path / "run").exists()


def test_a_tracker_of_the_test_is_not_left_behind():
    assert list(TrackerSpec.known()) == ["none", "wandb", "mlflow", "trackio"]


def needs(module):
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


def run_twice(folder, spec):
    """A run that is stopped after an epoch and gone on with; the lines about the tracker."""
    console = quiet_console()
    recipe = tracked_recipe(folder, spec, epochs=3)
    with pytest.raises(EndedEarly):
        run_recipe(
            recipe,
            folder / "run",
            console=console,
            after_check=lambda epoch, _: "enough" if epoch == 1 else None,
        )
    resume_run(folder / "run", console=console)
    assert not [line for line in lines_of(console) if "failed" in line or "left" in line]
    return RunFolder(folder / "run")


@needs("wandb")
def test_wandb_offline_keeps_scalars_and_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_twice(tmp_path, WandbSpec(mode="offline"))
    kept = sorted((tmp_path / "wandb").glob(f"offline-run-*-{run.manifest.state().id}"))
    assert len(kept) == 2
    assert all(list(folder.glob("*.wandb")) for folder in kept)
    assert list(kept[-1].rglob("*.html"))


@needs("wandb")
def test_wandb_without_a_login_is_told_and_asks_nobody(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    said = []
    with Tracking(WandbSpec().build(), "W&B", RUN, said.append):
        pass
    assert said == [
        "W&B failed and is left out from here on: nobody is logged in: `wandb login`, or choose "
        "mode offline"
    ]


@needs("mlflow")
def test_mlflow_keeps_one_run_with_each_step_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/kept.db"
    run = run_twice(tmp_path, MLflowSpec(uri=uri))
    client = import_module("mlflow").MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("nearfar").experiment_id
    (kept,) = client.search_runs([experiment])
    assert kept.info.status == "FINISHED"
    assert kept.data.params["training.epochs"] == "3"
    history = client.get_metric_history(kept.info.run_id, "train/loss")
    losses = [(r["step"], r["loss"]) for r in run.read_metrics() if r["kind"] == "step"]
    assert [(each.step, each.value) for each in history] == losses
    names = {each.path for each in client.list_artifacts(kept.info.run_id)}
    assert {"report.html", "config.json"} <= names


@needs("trackio")
def test_trackio_keeps_one_run_with_each_step_once(tmp_path, monkeypatch):
    monkeypatch.setattr("trackio.utils.TRACKIO_DIR", tmp_path / "kept", raising=False)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "kept"))
    storage = import_module("trackio.sqlite_storage").SQLiteStorage
    run = run_twice(tmp_path, TrackioSpec(project=f"p{tmp_path.name}"))
    (name,) = storage.get_runs(f"p{tmp_path.name}")
    assert name == f"run-{run.manifest.state().id[:8]}"
    logs = storage.get_logs(f"p{tmp_path.name}", name)
    steps = [each["step"] for each in logs if "train/loss" in each]
    assert steps == steps_of(run)
    assert json.loads(json.dumps(logs, default=str))
