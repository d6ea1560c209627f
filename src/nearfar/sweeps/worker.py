"""A worker of a sweep in another process: `python -m nearfar.sweeps.worker FOLDER [SECONDS]`.

It keeps to one core, where one is free of other workers, and computes with one thread.
"""

import contextlib
import fcntl
import os
import platform
import sys
import time
from collections.abc import Iterator

from rich.console import Console

from nearfar.errors import NearfarError
from nearfar.standard_streams import say_error
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.terminal import Terminal


def main() -> int:
    """Works until the sweep is done; an error is the last line of what it says."""
    folder = SweepFolder(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        _work(folder, until, Terminal(width=100, goes_on=True))
    except NearfarError as error:
        say_error(str(error))
        return error.exit_code
    return 0


def work_as_task(path: str, name: str, deadline: float | None) -> str | None:
    """Works until the sweep is done, in a process of somebody else, maybe on another machine.

    Args:
        path: Of the sweep.
        name: Of the worker's log.
        deadline: `time.time()` after which no further trial is begun.

    Returns:
        Why it ended before all was done; else None.
    """
    folder = SweepFolder(path)
    if not folder.study.is_file():
        return (
            f"{platform.node()} does not see {path}: put the sweep (--out) on a disk that all "
            "machines of the cluster share"
        )
    until = None if deadline is None else time.monotonic() + deadline - time.time()
    try:
        with folder.log(name).open("a", encoding="utf-8", errors="replace") as log:
            _work(folder, until, Terminal(file=log, width=100))
    except NearfarError as error:
        return str(error)
    return None


def _work(folder: SweepFolder, until: float | None, console: Console) -> None:
    with _own_core(folder):
        from nearfar.sweeps.search import Search
        from nearfar.sweeps.work import work

        work(Search(folder, folder.read()), until=until, console=console)


@contextlib.contextmanager
def _own_core(folder: SweepFolder) -> Iterator[None]:
    """Keep to the first core of this machine that no other worker of the sweep keeps to."""
    with contextlib.ExitStack() as held:
        if hasattr(os, "sched_setaffinity"):
            machine = "".join(each if each.isalnum() else "-" for each in platform.node())[:60]
            cores = os.sched_getaffinity(0)
            for core in sorted(cores):
                lock = held.enter_context(folder.core(machine, core).open("ab"))
                with contextlib.suppress(OSError):
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.sched_setaffinity(0, {core})
                    held.callback(os.sched_setaffinity, 0, cores)
                    break
        yield


if __name__ == "__main__":
    sys.exit(main())
