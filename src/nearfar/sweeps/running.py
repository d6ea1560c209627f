"""A sweep from its study to its page, by one worker in this process or by several of their own."""

import os
import shlex
import signal
import time
from pathlib import Path

from rich.console import Console

from nearfar.durable_files import make_folder
from nearfar.errors import NearfarError
from nearfar.sweeps.processes import Processes
from nearfar.sweeps.results import tell, write_results
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.watching import Watch
from nearfar.sweeps.work import work
from nearfar.terminal import shown
from nearfar.training.interruption import Interrupted

_POLL_S = 0.5


def run_sweep(
    study: Study,
    folder: SweepFolder,
    *,
    workers: int = 1,
    table: Path | None = None,
    console: Console,
) -> Search:
    """Trains all runs of a study, goes on with those that were cut, and writes what came out.

    Several processes may call this for one folder: they share the work. Trials are compared by the
    held-out check alone; the runs of the one that it puts first are judged on test images at last.

    Args:
        study: What to do; of a folder that holds a sweep, the same again.
        folder: Of the sweep.
        workers: Processes that work; one works in this process.
        table: Where every run is written besides: .csv or .parquet.
        console: Where a person watches.

    Returns:
        The search with all its trials.

    Raises:
        Interrupted: A signal came; what was under way is saved.
        NearfarError: The folder holds something else, or no worker is left.
    """
    study = folder.begin(study)
    search = Search(folder, study)
    until = None if study.minutes is None else time.monotonic() + 60 * study.minutes
    _print_head(console, search, workers)
    watch = Watch(Search(folder, study), console)
    try:
        with watch.watching():
            if workers == 1:
                work(search, until=until)
            else:
                _work_by_processes(folder, workers, until)
    except (Interrupted, KeyboardInterrupt) as stopped:
        number = stopped.exit_code - 128 if isinstance(stopped, Interrupted) else signal.SIGINT
        write_results(search, table)
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}, and what was under way is saved: go on "
            f"with `{resume_command(folder)}`",
            number,
        ) from None
    write_results(search, table)
    tell(search, console, table)
    return search


def resume_command(folder: SweepFolder) -> str:
    """The command that goes on with a sweep, or joins it."""
    return shlex.join(["nearfar", "sweep", "--resume", str(folder.path)])


def _print_head(console: Console, search: Search, workers: int) -> None:
    study = search.study
    trials = "trials" if study.planned is None else f"{study.planned} trials"
    seeds = f" of {len(study.seeds)} seeds" if len(study.seeds) > 1 else ""
    axes = ", ".join(axis.setting for axis in study.axes) or "no axis"
    by = f" by {workers} workers" if workers > 1 else ""
    console.print(
        f"{study.engine.name}: {trials}{seeds} of {shown(study.recipe.recipe)} over "
        f"{shown(axes)}{by}, chosen by {study.maximise} on held-out training images"
    )
    begun = len(search.trials())
    if begun:
        console.print(f"going on with {begun} trials that have begun")
    console.print(f"[dim]folder: {shown(search.folder.path)}[/dim]")


def _work_by_processes(folder: SweepFolder, workers: int, until: float | None) -> None:
    """Let processes do all the work, and wait for them.

    Raises:
        Interrupted: A signal came, and all have saved and ended.
        NearfarError: The work is not done, and the last worker has ended.
    """
    make_folder(folder.logs)
    processes, problem, done = Processes[Path](), "", False
    with processes.passing_on_signals():
        for number in range(workers):
            seconds = [] if until is None else [str(max(0.0, until - time.monotonic()))]
            log = folder.log(f"{os.uname().nodename}-{os.getpid()}-{number}")
            processes.start(log, ["nearfar.sweeps.worker", str(folder.path), *seconds], log)
        while processes.running:
            time.sleep(_POLL_S)
            for log, code in processes.ended():
                done = done or code == 0
                if code:
                    problem = _why(log, code)
    if processes.received is not None:
        raise Interrupted("stopped", processes.received)
    if not done:
        raise NearfarError(
            f"every worker has ended, the last one so: {problem}: put that right, then "
            f"`{resume_command(folder)}`"
        )


def _why(log: Path, code: int) -> str:
    """Why a worker ended: the signal that killed it, or the last line that it said."""
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}"
    lines = log.read_text(errors="replace").strip().splitlines()
    return (
        lines[-1].removeprefix("nearfar: ")
        if lines
        else f"it ended with code {code} and said nothing"
    )
