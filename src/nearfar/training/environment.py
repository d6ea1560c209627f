"""Under what a run was made: versions, hardware, threads, command and times."""

import contextlib
import datetime
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from nearfar.errors import NearfarError
from nearfar.installed import version_of
from nearfar.run_folder.folder import Json, RunFolder
from nearfar.run_folder.records import Environment, check
from nearfar.training.hardware import Hardware, cpu_name

_KEPT = ("started", "command", "ranks", "extends", "extended_after_epochs")
"""What stays as it was recorded first, where a run is gone on with."""
_PACKAGES = ("nearfar", "torch", "torchvision", "timm", "numpy", "scikit-learn", "safetensors")


@contextmanager
def recorded_environment(
    run_folder: RunFolder,
    hardware: Hardware,
    *,
    ranks: int,
    resumed_at: int | None,
    seconds: float,
    learnt_from: str = "",
) -> Iterator[Callable[[], float]]:
    """Write `environment.json` before training, and how long it took after it, however it ends.

    Args:
        ranks: How many train now; a run that is gone on with keeps those that it began with.
        resumed_at: Step that a run goes on from; None for a new one.
        seconds: Seconds of training before.
        learnt_from: How many examples of what, in words; recorded where it is given.

    Yields:
        A clock: seconds of training so far, over all processes of the run.
    """
    environment = _describe() | {"ranks": ranks}
    environment |= {"learnt_from": learnt_from} if learnt_from else {}
    if resumed_at is not None and run_folder.environment.exists():
        before = run_folder.read_environment()
        check(Environment, before, run_folder.environment)
        environment |= {name: before[name] for name in _KEPT if name in before}
        environment["resumed_at_steps"] = [*before.get("resumed_at_steps", []), resumed_at]
        environment["resumed_on_ranks"] = [*before.get("resumed_on_ranks", []), ranks]
    begun = time.monotonic() - seconds

    def clock() -> float:
        return round(time.monotonic() - begun, 3)

    def write() -> None:
        run_folder.write_environment(environment | _computes(hardware) | {"seconds": clock()})

    write()
    try:
        yield clock
    except BaseException:
        with contextlib.suppress(NearfarError):  # of a full disk the first error tells
            write()
        raise
    write()


def _computes(hardware: Hardware) -> Json:
    """Where and how the run computes; its threads may change while it does."""
    return {
        "device": str(hardware.device),
        "hardware": hardware.summary,
        "bf16": hardware.precision == "bf16",
        "precision": hardware.precision,
        "channels_last": hardware.channels_last,
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda if hardware.device.type == "cuda" else None,
    }


def _describe() -> Json:
    """What stays the same all through."""
    return {
        "command": shlex.join(sys.argv),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "resumed_at_steps": [],
        "resumed_on_ranks": [],
        "cpu": cpu_name(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version_of(package) for package in _PACKAGES},
    }
