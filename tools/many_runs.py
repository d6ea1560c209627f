"""Trains many runs, some at a time; done ones are skipped, cut ones go on, none is ever lost."""

import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rich.console import Console

from nearfar.errors import NearfarError
from nearfar.recipes.config_json import read_recipe, recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.glance import last_epoch
from nearfar.sweeps.processes import Processes
from nearfar.training.interruption import Interrupted
from tools.clock import Clock

_POLL_S = 0.5
_TRAINING_SHARE = 0.85
"""Of a run's time; the rest is loading and judging."""


@dataclass(frozen=True)
class Job:
    """One run: what to train, and its folder.

    Attributes:
        experiment: Its name in the records.
        recipe: Complete, with its seed.
        folder: Of the run.
    """

    experiment: str
    recipe: Recipe
    folder: Path

    @property
    def name(self) -> str:
        """What a person is told of it by."""
        return f"{self.experiment}-seed{self.recipe.seed}"

    @property
    def judged(self) -> bool:
        """Whether its folder holds a run that was trained and judged."""
        return RunFolder(self.folder).evaluation.exists()

    @property
    def log(self) -> Path:
        """What it says while it runs, beside its folder."""
        return self.folder.with_name(self.folder.name + ".log")

    def prepare(self) -> None:
        """Make the run folder, or see that the one that is there is of this very recipe.

        Raises:
            NearfarError: It holds a run with other settings, or something else.
        """
        folder = RunFolder(self.folder)
        if not folder.config.exists():
            RunFolder.create(self.folder).write_config(recipe_to_json(self.recipe, run=self.folder))
            return
        begun = read_recipe(self.folder)
        # Where the images lie does not change what comes out.
        begun = replace(begun, data=begun.data.at(self.recipe.data.place))
        if begun != self.recipe:
            raise NearfarError(
                f"{self.folder} holds a run with other settings than {self.recipe.recipe} has "
                "now: move it away, or choose another --out"
            )

    @property
    def done(self) -> float:
        """About how much of it is done, 0 to 1, from its metrics."""
        if self.judged:
            return 1.0
        reached = last_epoch(RunFolder(self.folder).metrics)
        return _TRAINING_SHARE * reached / self.recipe.training.epochs


class Records(Protocol):
    """Where finished runs are kept; run folders may then be removed."""

    def finished(self, jobs: Iterable[Job]) -> set[Job]:
        """Those of which there is a record, made with the very settings that they have."""
        ...

    def keep(self, jobs: Iterable[Job]) -> None:
        """Record jobs that are judged, each in the place of what was recorded of it before."""
        ...


def train_all(
    jobs: Sequence[Job], records: Records, *, parallel: int, console: Console
) -> list[Job]:
    """Train and judge all runs that have no record yet; each is recorded as soon as it is done.

    Args:
        jobs: All runs of the whole, finished ones too.
        records: Of finished runs. One of other settings counts for nothing and is replaced.
        parallel: Most runs at a time, each on one thread.
        console: Where a person watches.

    Returns:
        The runs that failed; their logs say why.

    Raises:
        Interrupted: SIGINT or SIGTERM came. The same command goes on.
        NearfarError: A folder holds another run, or the records are damaged; nothing was started.
    """
    finished = records.finished(jobs)
    begun = [job for job in jobs if job not in finished and RunFolder(job.folder).config.exists()]
    for job in begun:
        job.prepare()
    # Those of a process that died between judging and recording.
    unrecorded = [job for job in begun if job.judged]
    if unrecorded:
        records.keep(unrecorded)
    finished |= set(unrecorded)
    waiting = [job for job in jobs if job not in finished]
    processes, failed = Processes[Job](), []

    def share() -> float:
        """How many runs are done, parts of runs counted."""
        return len(finished) + sum(job.done for job in jobs if job not in finished)

    before = share()
    clock = Clock(len(jobs) - before)

    def summary() -> str:
        done = share() - before
        counted = f"{len(finished)} of {len(jobs)} runs"
        return f"{counted} · {clock.left(done)}" if done > 0 else counted

    def end(job: Job, code: int) -> None:
        """Record a run that is done; say what became of it."""
        problem = _last_line(job.log)
        if code == 0:
            try:
                records.keep([job])
            except NearfarError as error:
                problem = str(error)
            else:
                finished.add(job)
                console.print(f"done  {job.name} · {summary()}", highlight=False)
                return
        elif processes.received is not None:
            return
        failed.append(job)
        console.print(f"[red]failed[/red]  {job.name}: {problem}")

    console.print(f"{len(finished)} of {len(jobs)} runs are finished", highlight=False)
    with processes.passing_on_signals(), console.status("starting") as status:
        while processes.running or (waiting and processes.received is None):
            while waiting and processes.received is None and len(processes.running) < parallel:
                job = waiting.pop(0)
                job.prepare()
                processes.start(job, ["nearfar", "train", "--resume", str(job.folder)], job.log)
            for job, code in processes.ended():
                end(job, code)
            names = ", ".join(f"{job.name} {job.done:.0%}" for job in processes.running)
            saving = processes.received is not None
            status.update(f"saving: {names}" if saving else f"{summary()} · {names}")
            if not console.is_terminal and clock.due():
                console.print(f"{summary()} · {names}", highlight=False)
            time.sleep(_POLL_S)
    if processes.received is not None:
        raise Interrupted(
            f"stopped by {signal.Signals(processes.received).name} with {len(finished)} of "
            f"{len(jobs)} runs finished; those under way are saved, and the same command goes on",
            processes.received,
        )
    return failed


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
