"""A sweep from its study to its page, wherever its workers run."""

import signal
import time
from pathlib import Path

from rich.console import Console

from nearfar.plugins import imported
from nearfar.sweeps.results import tell, write_results
from nearfar.sweeps.runners import LocalSpec, RunnerSpec
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.watching import Watch
from nearfar.terminal import shown
from nearfar.training.interruption import Interrupted

_HERE = LocalSpec()


def run_sweep(
    study: Study,
    folder: SweepFolder,
    *,
    workers: int = 1,
    runner: RunnerSpec = _HERE,
    table: Path | None = None,
    console: Console,
) -> Search:
    """Trains all runs of a study, goes on with those that were cut, and writes what came out.

    Several processes may call this for one folder: they share the work. Trials are compared by the
    held-out check alone; the runs of the one that it puts first are judged on test images at last.

    Args:
        study: What to do; of a folder that holds a sweep, the same again.
        folder: Of the sweep.
        workers: How many work; one that runs locally works in this process.
        runner: Where they run.
        table: Where every run is written besides: .csv or .parquet.
        console: Where a person watches.

    Returns:
        The search with all its trials.

    Raises:
        Interrupted: A signal came; what was under way is saved.
        NearfarError: The folder holds something else, or no worker is left.
    """
    imported(runner.target)  # what is not installed is told before anything is written
    study = folder.begin(study)
    search = Search(folder, study)
    until = None if study.minutes is None else time.monotonic() + 60 * study.minutes
    _print_head(console, search, workers, runner)
    watch = Watch(Search(folder, study), console)
    try:
        with watch.watching():
            runner.build(search, workers, until, console)
    except (Interrupted, KeyboardInterrupt) as stopped:
        number = stopped.exit_code - 128 if isinstance(stopped, Interrupted) else signal.SIGINT
        command = runner.resume_command(folder.path)
        done = watch.progress(search.trials()).text
        write_results(search, table, f"Stopped when {done} were done; `{command}` goes on.")
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}, and what was under way is saved: go on "
            f"with `{command}`",
            number,
        ) from None
    write_results(search, table)
    tell(search, console, table)
    return search


def _print_head(console: Console, search: Search, workers: int, runner: RunnerSpec) -> None:
    study = search.study
    trials = "trials" if study.planned is None else f"{study.planned} trials"
    seeds = f" of {len(study.seeds)} seeds" if len(study.seeds) > 1 else ""
    axes = ", ".join(axis.setting for axis in study.axes) or "no axis"
    several = f" by {workers} workers" if workers > 1 else ""
    by = several + runner.place
    console.print(
        f"{study.engine.name}: {trials}{seeds} of {shown(study.recipe.recipe)} over "
        f"{shown(axes)}{by}, chosen by {study.maximise} on held-out training images"
    )
    begun = len(search.trials())
    if begun:
        console.print(f"going on with {begun} trials that have begun")
    console.print(f"[dim]folder: {shown(search.folder.path)}[/dim]")
