"""A folder of runs: those that are there are not measured again, so that a cut bench goes on."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from tools.clock import Clock
from tools.machine import made_on

from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError
from papers.bounds_bench.training import Run, measure


def path_of(run: Run, folder: Path) -> Path:
    """The file of a run."""
    return folder / f"{run.critic.kind}-{run.task}-{run.objective}-seed{run.seed}.npz"


@dataclass(frozen=True)
class Kept:
    """What a run left.

    Attributes:
        readings: Nats, as `measure` gives them.
        made_on: Versions and machine.
    """

    readings: np.ndarray
    made_on: str


def kept(run: Run, folder: Path) -> Kept | None:
    """What a run left, or None where it is not measured yet.

    Args:
        run: Which.
        folder: Of the runs.

    Raises:
        NearfarError: The file is damaged, or of a run with other settings.
    """
    path = path_of(run, folder)
    if not path.exists():
        return None
    try:
        with np.load(path) as file:
            settings, found = str(file["settings"]), Kept(file["readings"], str(file["made_on"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NearfarError(f"{path} is damaged: remove it, and it is measured again") from error
    if json.loads(settings) != asdict(run):
        raise NearfarError(
            f"{path} is of a run with other settings: move it away, or choose another --out"
        )
    return found


def measure_missing(runs: Sequence[Run], folder: Path, console: Console) -> None:
    """Measures what is not there, each run kept as soon as it is done.

    Several processes may share a folder, best each with seeds of its own.

    Args:
        runs: All of them, in order.
        folder: Where they are kept; made where it is not.
        console: Where a person watches.

    Raises:
        NearfarError: A file that is there is damaged or of other settings, or the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [run for run in runs if kept(run, folder) is None]
    console.print(f"{len(runs) - len(missing)} of {len(runs)} runs are there", highlight=False)
    clock, done = Clock(sum(run.all_steps for run in missing)), 0
    with console.status("starting") as status:
        for place, run in enumerate(missing, start=len(runs) - len(missing) + 1):
            if kept(run, folder) is not None:  # by another process, meanwhile
                clock.leave(run.all_steps)
                continue
            name = f"{place} of {len(runs)}: {path_of(run, folder).stem}"

            def tell(step: int, name: str = name, done: int = done) -> None:
                line = f"{name} · {_summary(clock, done + step)}"
                status.update(line)
                if not console.is_terminal and clock.due():
                    console.print(line, highlight=False, soft_wrap=True)

            keep(run, measure(run, tell), folder)
            done += run.all_steps
            console.print(
                f"done  {name} · {_summary(clock, done)}", highlight=False, soft_wrap=True
            )


def keep(run: Run, readings: np.ndarray, folder: Path) -> None:
    """Write the readings of a run, whole or not at all."""
    content = io.BytesIO()
    settings = json.dumps(asdict(run))
    np.savez_compressed(content, settings=settings, readings=readings, made_on=made_on())
    write_durably(path_of(run, folder), content.getvalue())


def _summary(clock: Clock, done: int) -> str:
    """Steps a second, and the time left at that speed."""
    return f"{clock.rate(done):.0f} steps/s · {clock.left(done)}" if done else "the first step"
