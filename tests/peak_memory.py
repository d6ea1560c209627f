"""By how much a call raises the memory of the process that it runs in, at its peak."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nearfar.testing.rank_processes import FORKS


def peak_growth(call: Callable[[], Any]) -> int:
    """Bytes by which the peak rises over what is held before the call.

    The peak is that of the call, not of all that ran before it in this process, which would hide
    any rise below it.
    """
    gc.collect()
    # What earlier tests have freed and the allocator kept would be taken without any rise.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    call()
    return 1024 * (_kilobytes("VmHWM") - before)


def in_a_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function gives in a process in which no test has run before.

    Bounds of a few megabytes hold there alone: an allocator that many tests have used gives pages
    back when it likes.

    Args:
        function: Of a module that another process can import.
        arguments: That pickle.
    """
    with FORKS.Pool(1) as pool:
        return pool.apply(function, arguments)


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":") for line in lines)[field].split()[0])
