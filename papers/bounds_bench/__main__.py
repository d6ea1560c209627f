"""Try all bounds on variables that share a known number of nats; write the page of the bench.

python -m papers.bounds_bench                      all: about an hour of one core
python -m papers.bounds_bench --tasks gaussian --bounds nwj smile --seeds 0
python -m papers.bounds_bench --critic joint       about 8 times as long
python -m papers.bounds_bench --write-only         page and figure from the runs that are there

A run that is there is not measured again, so the command can be given again after a cut, and a
second one with --seeds 2 beside it uses another core. A task is on the page when all its runs are
there.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from tools.command import run_command

from nearfar.errors import require_known
from nearfar.information.specs import CriticSpec
from papers.bounds_bench.runs import measure_missing
from papers.bounds_bench.tasks import TASKS
from papers.bounds_bench.training import TRAINED_AS, Run
from papers.bounds_bench.writing import write

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mutual_information_bench.md"


@dataclass(frozen=True)
class Arguments:
    """Try all bounds on variables that share a known number of nats; write the page."""

    tasks: tuple[str, ...] = ()
    """Tasks; left out, all of them."""
    bounds: tuple[str, ...] = ()
    """Bounds; left out, all of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each; of one alone nothing is written."""
    critic: Literal["separable", "joint"] = "separable"
    """Kind of the critics; joint ones take about 8 times as long."""
    out: Path = ROOT / "runs" / "bounds_bench"
    """Folder of the runs."""
    write_only: bool = False
    """Measure nothing: write from the runs that are there."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is missing and rewrite the page; the exit code."""
    return run_command(
        "papers.bounds_bench", Arguments, lambda each: bench(each, PAGE, Console()), words
    )


def bench(arguments: Arguments, page: Path, console: Console) -> None:
    """Measure what is asked for, then write from all that is there.

    Args:
        arguments: What is asked for.
        page: The page; measurements and figures go into a folder of its name beside it.
        console: Where a person watches.

    Raises:
        NearfarError: A name is wrong, or a kept run is damaged or of other settings.
    """
    require_known("task", arguments.tasks, TASKS)
    require_known("bound", arguments.bounds, TRAINED_AS)
    torch.set_num_threads(1)
    seeds = tuple(sorted(set(arguments.seeds)))
    if not arguments.write_only:
        measure_missing(
            runs_of(
                arguments.tasks or tuple(TASKS),
                arguments.bounds or tuple(TRAINED_AS),
                seeds,
                arguments.critic,
            ),
            arguments.out,
            console,
        )
    if len(seeds) < 2:
        console.print("not written: one seed alone has no spread", highlight=False)
        return
    for task in TASKS:
        runs = runs_of((task,), tuple(TRAINED_AS), seeds, arguments.critic)
        left = write(task, runs, arguments.out, page)
        state = "written" if not left else f"{left} of {len(runs)} runs are missing"
        console.print(f"{task}: {state}", highlight=False)


def runs_of(
    tasks: Sequence[str], bounds: Sequence[str], seeds: Sequence[int], kind: str
) -> list[Run]:
    """Every run that the bounds are read from, all tasks of a seed before the next seed."""
    trained = list(dict.fromkeys(TRAINED_AS[bound] for bound in bounds))
    critic = CriticSpec(kind=kind)  # pyright: ignore[reportArgumentType]
    return [
        Run(task, objective, seed, critic)
        for seed in seeds
        for task in tasks
        for objective in trained
    ]


if __name__ == "__main__":
    sys.exit(main())
