"""Whether other programs hold cores that a run's threads are about to wait for."""

import os
import time
from pathlib import Path

import torch

_LOADAVG = Path("/proc/loadavg")
_LOOKS = 10
_SECONDS_BETWEEN_LOOKS = 0.01


def crowding_note(device: torch.device) -> str | None:
    """A line of advice where a run's threads outnumber the cores that are free.

    The threads of a convolution wait for each other by spinning: while one is off its core, the
    others burn theirs. Two trainings of two threads each on two cores were measured at a sixtieth
    of the speed of two with one thread each, so this is worth saying before a long run.

    Args:
        device: Where the run computes.

    Returns:
        What to do, or None where the cores are free, the run has one thread or is on a GPU, or
        the system does not say how many programs run.
    """
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if device.type != "cpu" or threads == 1:
        return None
    others = _others_running()
    if others is None or others + threads <= cores:
        return None
    return (
        f"the machine is busy: {others} other thread{'s' if others > 1 else ''} on {cores} cores; "
        f"{threads} threads that wait for each other can be many times slower than one here: "
        "stop what else runs, or begin again with OMP_NUM_THREADS=1"
    )


def _others_running() -> int | None:
    """Threads of other programs that want a core all the time: the fewest seen in some looks."""
    if not _LOADAVG.is_file():
        return None
    seen = []
    for _ in range(_LOOKS):
        # "0.20 0.18 0.12 2/80 11206": the fourth field counts what runs now, this thread included.
        seen.append(int(_LOADAVG.read_text().split()[3].partition("/")[0]) - 1)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return min(seen)
