"""A worker of a sweep as a process of its own: `python -m nearfar.sweeps.worker FOLDER [SECONDS]`.

It keeps to one core, where one is free of other workers, and computes with one thread.
"""

import contextlib
import fcntl
import os
import platform
import sys
import time
from collections.abc import Iterator

from nearfar.errors import NearfarError
from nearfar.standard_streams import say_error
from nearfar.sweeps.sweep_folder import SweepFolder


def main() -> int:
    """Works until the sweep is done; an error is the last line of what it says."""
    folder = SweepFolder(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2]) if len(sys.argv) > 2 else None
    with _own_core(folder):
        try:
            from nearfar.sweeps.search import Search
            from nearfar.sweeps.work import work
            from nearfar.terminal import Terminal

            search = Search(folder, folder.read())
            work(search, until=until, console=Terminal(width=100, goes_on=True))
        except NearfarError as error:
            say_error(str(error))
            return error.exit_code
    return 0


@contextlib.contextmanager
def _own_core(folder: SweepFolder) -> Iterator[None]:
    """Keep to the first core of this machine that no other worker of the sweep keeps to."""
    with contextlib.ExitStack() as held:
        if hasattr(os, "sched_setaffinity"):
            machine = "".join(each if each.isalnum() else "-" for each in platform.node())[:60]
            for core in sorted(os.sched_getaffinity(0)):
                lock = held.enter_context(folder.core(machine, core).open("ab"))
                with contextlib.suppress(OSError):
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.sched_setaffinity(0, {core})
                    break
        yield


if __name__ == "__main__":
    sys.exit(main())
