"""One worker of a sweep: takes a run that nobody is at, trains it, says what came out, and again.

Who is at a run is told by the lock of its folder, which the system frees when a process dies. So a
run that was cut is found and gone on with by whoever looks next.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nearfar.data.source import Source
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.durable_files import make_folder
from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.glance import last_lines
from nearfar.run_folder.lock import is_locked
from nearfar.sweeps.search import Search
from nearfar.sweeps.trials import Trial, best_first
from nearfar.terminal import Terminal
from nearfar.training.ends import Diverged, EndedEarly

_POLL_S = 0.5
_KEYS = {"knn": "top1", "online_probe": "online_probe"}


@dataclass(frozen=True)
class _Job:
    """One run of one trial."""

    trial: Trial
    seed: int
    folder: Path


def work(search: Search, *, until: float | None = None, console: Console | None = None) -> None:
    """Work on a sweep until all its trials are done and the best is judged on test images.

    Args:
        search: The sweep's.
        until: `time.monotonic()` after which no further trial is begun.
        console: Where each run tells of itself; by default nowhere.

    Raises:
        Interrupted: SIGINT or SIGTERM came while a run trained; it is saved.
        NearfarError: The disk refuses, or the data are gone or have no labels.
    """
    console = console or Terminal(quiet=True)
    data = _Data()
    while True:
        search.settle()
        with _claimed(search) as job:
            if job is not None:
                _train(search, job, data, console)
                continue
        if (until is None or time.monotonic() < until) and search.begin():
            continue
        if any(trial.state == "running" for trial in search.trials()):
            time.sleep(_POLL_S)
            continue
        if not _judge(search, console):
            return


class _Data:
    """The data that were read last: most runs of a sweep read the same."""

    def __init__(self) -> None:
        self._spec: SourceSpec | None = None
        self._source: Source | None = None

    def of(self, recipe: Recipe) -> Source:
        """The data of a recipe, with labels to check by."""
        if self._source is None or recipe.data != self._spec:
            try:
                self._spec, self._source = recipe.data, load_source(recipe.data)
            except SettingError as error:  # no trial's fault, as where a disk is not there now
                raise NearfarError(str(error)) from error
        if self._source.train.labels is None:
            raise NearfarError(
                f"{self._source.name} has no labels, so that no check says which run is better: a "
                "sweep needs some"
            )
        return self._source


@contextmanager
def _claimed(search: Search) -> Iterator[_Job | None]:
    """A run that is to be trained and that nobody is at, its folder locked; None where none is."""
    for job in _open_jobs(search):
        if is_locked(job.folder):
            continue
        make_folder(job.folder)
        with ExitStack() as held:
            try:
                held.enter_context(RunFolder(job.folder).held("training for a sweep"))
            except NearfarError:
                if is_locked(job.folder):  # another was quicker
                    continue
                raise
            # Another may have finished it since the trials were read.
            if any(each.folder == job.folder for each in _open_jobs(search)):
                yield job
                return
    yield None


def _open_jobs(search: Search) -> list[_Job]:
    """The runs that trials which have begun still need, in order."""
    jobs = []
    for trial in search.trials():
        if trial.state != "running":
            continue
        first, *others = search.study.seeds
        # The first seed decides whether a trial is ended early, and the others wait for it.
        wait = search.study.prunes and first not in trial.checks
        jobs += [
            _Job(trial, seed, search.folder.run(trial.number, seed))
            for seed in ([first] if wait else [first, *others])
            if seed not in trial.checks
        ]
    return jobs


def _train(search: Search, job: _Job, data: _Data, console: Console) -> None:
    """Train a run, or go on with it, and take down what it came to."""
    number, seed, folder = job.trial.number, job.seed, RunFolder(job.folder)
    try:
        recipe = search.study.recipe_at(job.trial.point, seed)
        after_check = _after_check(search, job, recipe)
        if folder.encoder_settings.is_file():
            pass  # whoever trained it was killed before it said so
        elif folder.config.is_file():
            data.of(recipe)
            resume_run(folder.path, console=console, judge=False, after_check=after_check)
        else:
            run_recipe(
                recipe,
                folder.path,
                overwrite=True,  # a start that was cut before it had written its settings
                console=console,
                source=data.of(recipe),
                judge=False,
                after_check=after_check,
            )
        found = _kept(folder, recipe)
        seconds = folder.read_environment().get("seconds", 0.0)
        search.finish_run(number, seed, _checked(search, found), seconds)
    except EndedEarly:
        pass
    except (Diverged, SettingError) as error:
        search.fail(number, seed, str(error))
    except NearfarError:
        raise
    except Exception as error:  # of another library, such as a GPU's memory that is too small
        text = " ".join(str(error).split()) or "without a word"
        search.fail(number, seed, f"{type(error).__name__}: {text[:300]}")


def _kept(folder: RunFolder, recipe: Recipe) -> Mapping[str, Any]:
    """The check of the epoch whose encoder a run has kept; empty where none was made."""
    if recipe.training.keep_epoch == "last":
        return last_lines(folder.metrics)[1]
    checks = [line for line in folder.read_metrics() if line.get("kind") == "knn"]
    return max(checks, key=lambda line: line["top1"], default={})


def _checked(search: Search, found: Mapping[str, Any]) -> float:
    """What is maximised, from a check.

    Raises:
        SettingError: There is none, or it was made on images that were trained on.
    """
    value = found.get(_KEYS[search.study.maximise])
    if not isinstance(value, int | float) or found.get("asked") != "held out":
        raise SettingError("no check on held-out training images was made")
    return float(value)


def _after_check(
    search: Search, job: _Job, recipe: Recipe
) -> Callable[[int, Mapping[str, Any]], str | None]:
    """What ends a run early: its trial is behind, or another seed of it has failed."""
    first, epochs = search.study.seeds[0], recipe.training.epochs

    def after_check(done: int, found: Mapping[str, Any]) -> str | None:
        check = _checked(search, found)
        if done >= epochs:
            return None
        if search.study.prunes and job.seed == first:
            if search.report(job.trial.number, done, check):
                return f"ended by the sweep after epoch {done} with {100 * check:.1f} %"
        elif search.trial(job.trial.number).state != "running":
            return f"ended after epoch {done}: another seed of the trial has failed"
        return None

    return after_check


def _judge(search: Search, console: Console) -> bool:
    """Judge one run of the best trial on test images, if one is left that nobody is at.

    Returns:
        Whether there is more to do, by this worker or by another.
    """
    for trial in best_first(search.trials())[:1]:
        left = [
            folder
            for folder in (RunFolder(search.folder.run(trial.number, s)) for s in trial.checks)
            if folder.config.is_file() and not folder.evaluation.is_file()
        ]
        for folder in left:
            if is_locked(folder.path):
                continue
            try:
                resume_run(folder.path, console=console)
            except NearfarError:
                if not is_locked(folder.path):  # else another was quicker
                    raise
            return True
        if left:
            time.sleep(_POLL_S)
            return True
    return False
