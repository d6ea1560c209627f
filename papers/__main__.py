"""Measure what the sources prove; write figures, tables and docs/theory.md.

python -m papers                         all experiments, seeds 0, 1 and 2
python -m papers --only limit_theorem    one; the rest of the page stays as it is
python -m papers --write-only            figures and page from the measurements that are there

Each experiment is written as soon as it is measured, so that what was cut goes on with --only.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from tools.command import run_command

from nearfar.errors import SettingError, require_known
from papers.catalogue import EXPERIMENTS
from papers.experiment import Experiment, measured
from papers.figures import save, style
from papers.page import page

PAGE = Path(__file__).parents[1] / "docs" / "theory.md"
FOLDER = PAGE.parent / "theory"


@dataclass(frozen=True)
class Arguments:
    """Measure what the sources prove; write figures, tables and docs/theory.md."""

    only: tuple[str, ...] = ()
    """Experiments; left out, all of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; two or more, so that there is a spread."""
    write_only: bool = False
    """Measure nothing: draw and write from the measurements that are there."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is asked for and rewrite the page; the exit code."""
    return run_command(
        "papers", Arguments, lambda each: rerun(each, FOLDER, PAGE, Console()), words
    )


def rerun(arguments: Arguments, folder: Path, page_path: Path, console: Console) -> None:
    """Measure, draw and write, one experiment after the other.

    Args:
        arguments: What is asked for.
        folder: Of measurements and figures.
        page_path: The page, beside the folder.
        console: Where a person watches.

    Raises:
        NearfarError: An experiment has no such name, or there is one seed alone.
    """
    require_known("experiment", arguments.only, EXPERIMENTS)
    if len(set(arguments.seeds)) < 2:
        raise SettingError("--seeds needs two seeds or more: one alone has no spread to show")
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    for name in arguments.only or EXPERIMENTS:
        begun = time.process_time()
        write(EXPERIMENTS[name], arguments, folder)
        page_path.write_text(page(list(EXPERIMENTS.values()), folder))
        console.print(f"{name}: {time.process_time() - begun:.0f} s of CPU", highlight=False)


def write(experiment: Experiment, arguments: Arguments, folder: Path) -> None:
    """Measurements and figure of one experiment; with `write_only`, the figure alone."""
    measurements = folder / f"{experiment.name}.csv"
    if not arguments.write_only:
        data = measured(experiment, tuple(sorted(set(arguments.seeds))))
        data.to_csv(measurements, index=False, float_format="%.7g")
    if measurements.exists():
        with style():
            # Drawn from what is kept, so that drawing again gives the same bytes.
            save(experiment.draw(pd.read_csv(measurements)), folder / f"{experiment.name}.svg")


if __name__ == "__main__":
    sys.exit(main())
