"""Workers of a sweep on this machine: one in this process, or several of their own."""

import os
import signal
import time
from pathlib import Path

from rich.console import Console

from nearfar.durable_files import make_folder
from nearfar.sweeps.processes import Processes
from nearfar.sweeps.runners import LocalSpec
from nearfar.sweeps.search import Search
from nearfar.sweeps.work import work
from nearfar.training.interruption import Interrupted

_POLL_S = 0.5


def work_here(
    spec: LocalSpec, search: Search, workers: int, until: float | None, _console: Console
) -> None:
    """Do all the work of a sweep, and come back when it is done.

    Raises:
        Interrupted: A signal came, and all have saved and ended.
        NearfarError: The work is not done, and the last worker has ended.
    """
    if workers == 1:
        work(search, until=until)
        return
    folder = search.folder
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
        raise spec.all_have_ended(folder.path, problem)


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
