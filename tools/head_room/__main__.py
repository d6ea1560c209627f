"""How much room sets have to show an effect, by training data alone; writes docs/study_sets.md.

python -m tools.head_room                          every set, three seeds, 30 epochs
python -m tools.head_room fonts-62 --minutes 30    one set; after so long no further run begins
python -m tools.head_room --write-only             the tables from the records that are there

It says first what it will cost. What is recorded in docs/study_sets_runs.jsonl, which is committed,
is not run again for the same epochs and images, and a run that was cut goes on. Sets are made from
what `make fonts` and `make clipart` fetch (sets.py).
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from tyro.conf import Positional

from nearfar.errors import SettingError, require_known
from tools.clock import Clock
from tools.command import run_command
from tools.head_room.page import section
from tools.head_room.runs import BATCH, Job, images_of, jobs, recipe_of, record_of_run
from tools.head_room.sets import SETS, Places
from tools.markdown import with_section
from tools.run_records import add_record, is_recorded, read_records

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "study_sets.md"
RECORDS = ROOT / "docs" / "study_sets_runs.jsonl"
_IMAGES_PER_SECOND = 500
"""About what one thread of a server's core trains of them, judging included."""


@dataclass(frozen=True)
class Arguments:
    """How much room sets have to show an effect, by training data alone."""

    sets: Positional[tuple[str, ...]] = ()
    """Sets; left out, all of them."""
    epochs: int = 30
    """Of each run."""
    images: int = 4000
    """To fit of each set, at most; a quarter as many judge."""
    minutes: float | None = None
    """After so long no further run begins; the same command goes on."""
    out: Path = ROOT / "runs" / "head-room"
    """Folder of the sets and of the runs."""
    records: Path = RECORDS
    """Where the runs are recorded."""
    page: Path = PAGE
    """Whose tables are written."""
    write_only: bool = False
    """Run nothing: write the tables from the records that are there."""
    places: Places = field(default_factory=Places)


def main(words: Sequence[str] | None = None) -> int:
    """Run what is missing and rewrite the tables; the exit code."""
    return run_command("tools.head_room", Arguments, measure, words)


def measure(arguments: Arguments) -> None:
    """Run what is asked for and not recorded; write the tables after each set's seed.

    Raises:
        NearfarError: A set cannot be made, or a run failed.
    """
    require_known("set", arguments.sets, SETS)
    if arguments.epochs < 1 or arguments.images < 2 * BATCH:
        raise SettingError(f"epochs must be 1 or more, and images {2 * BATCH} or more")
    console = Console(highlight=False)
    if not arguments.write_only:
        _run_all(arguments, console)
    _write(arguments)


def _run_all(arguments: Arguments, console: Console) -> None:
    left = [
        job
        for job in jobs(arguments.sets or tuple(SETS), arguments.epochs, arguments.images)
        if not is_recorded(arguments.records, job.key)
    ]
    total = sum(map(images_of, left))
    console.print(
        f"{len(left)} runs of at most {arguments.epochs} × {arguments.images:,} images: about "
        f"{total / _IMAGES_PER_SECOND / 60:.0f} minutes of one core, twice that beside others"
    )
    begun, clock, done = time.monotonic(), Clock(total), 0
    for job in left:
        if arguments.minutes is not None and time.monotonic() - begun > 60 * arguments.minutes:
            console.print("the time is over: the same command goes on")
            return
        record = _run(job, arguments)
        add_record(arguments.records, record)
        _write(arguments)
        done += images_of(job)
        accuracy = 100 * record["scores"]["linear_probe"]["encoder"]["top1"]
        console.print(
            f"{job.set}, {job.variant}, seed {job.seed}: linear probe {accuracy:.1f} %; "
            f"{clock.left(done)}"
        )


def _run(job: Job, arguments: Arguments) -> dict[str, Any]:
    """The record of one run, its set made where it is not there."""
    chosen = SETS[job.set]
    name = f"{job.set}-{job.images}"
    file = chosen.made(arguments.out / "sets" / f"{name}.npz", arguments.places, job.images)
    variant = job.variant.replace(" ", "-")
    run = arguments.out / f"{name}-{job.epochs}-{variant}-{job.seed}"
    record = record_of_run(job, recipe_of(job, chosen, file), run)
    with np.load(file, allow_pickle=False) as held:
        labels = held["labels"]
    return {**record, "classes": len(np.unique(labels)), "fitted": len(labels)}


def _write(arguments: Arguments) -> None:
    records = read_records(arguments.records)
    if records:
        page = arguments.page.read_text()
        arguments.page.write_text(with_section(page, "study-sets", section(records)))


if __name__ == "__main__":
    sys.exit(main())
