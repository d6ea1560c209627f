"""How much memory this process may use, and how much of it is free. Imports no torch."""

import contextlib
import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
_COUNTED = Path("/proc/meminfo")


def whole_memory() -> int:
    """Bytes of the machine, or of the group that the process is in where that has fewer."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no limit, or one that is called `max`
        there = min(there, int((_GROUP / "memory.max").read_text()))
    return there


def free_memory() -> int | None:
    """Bytes that can be had without swapping, by the system's count; None where it keeps none."""
    if not _COUNTED.is_file():
        return None
    counted = dict(line.split(":", 1) for line in _COUNTED.read_text().splitlines())
    free = int(counted["MemAvailable"].split()[0]) * 1024
    with contextlib.suppress(OSError, ValueError):
        limit = int((_GROUP / "memory.max").read_text())
        free = min(free, limit - int((_GROUP / "memory.current").read_text()))
    return free
