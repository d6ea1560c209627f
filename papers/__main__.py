"""Measure what the sources prove and publish; write figures, tables and pages.

python -m papers                         all experiments of docs/theory.md, seeds 0, 1 and 2
python -m papers --list                  all experiments and reproductions, and what each costs
python -m papers --only limit_theorem    one; the rest of the page stays as it is
python -m papers --only debiased_losses  a reproduction: trains what is missing of its runs
python -m papers --write-only            figures and pages from the measurements that are there

Each experiment is written as soon as it is measured, and each run of a reproduction is kept as soon
as it is judged, so that the same command goes on with what was cut. Reproductions take hours, so
they are run only where --only names them.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from tools.command import run_command
from tools.figure_file import save
from tools.markdown import with_section

from nearfar.errors import SettingError, require_known
from papers.catalogue import EXPERIMENTS, REPRODUCTIONS
from papers.experiment import Experiment, measured
from papers.figures import style
from papers.page import page
from papers.reproductions.page import overview, spread
from papers.reproductions.power import detectable
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.running import draw, finished_runs, results_of, take_over, train

ROOT = Path(__file__).parents[1]
THEORY, RESULTS = "theory", "results"
"""Pages, and of the first the folder of measurements, below docs/."""
FOLDER = "reproductions"
"""Of raw results and figures of reproductions."""


@dataclass(frozen=True)
class Arguments:
    """Measure what the sources prove and publish; write figures, tables and pages."""

    only: tuple[str, ...] = ()
    """Experiments or reproductions; left out, all experiments."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of experiments; two or more, so that there is a spread."""
    write_only: bool = False
    """Measure nothing: draw and write from the measurements that are there."""
    list: bool = False
    """Say what there is and what each costs; measure nothing."""
    pilot: bool = False
    """Of the reproductions named, train the pilot: its spread says what their seeds can show."""
    jobs: int = 1
    """Runs of a reproduction at a time, each on one thread."""
    runs: Path = ROOT / "runs" / "papers"
    """Folder of the run folders of reproductions; those that are recorded may be removed."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is asked for and rewrite the pages; the exit code."""
    return run_command(
        "papers", Arguments, lambda each: rerun(each, ROOT / "docs", Console()), words
    )


def rerun(arguments: Arguments, docs: Path, console: Console) -> int:
    """Measure, draw and write, one after the other.

    Args:
        arguments: What is asked for.
        docs: Folder of the pages.
        console: Where a person watches.

    Returns:
        The exit code: 1 if a run failed.

    Raises:
        NearfarError: Nothing has such a name, there is one seed alone, or data are not there.
    """
    require_known("experiment", arguments.only, {**EXPERIMENTS, **REPRODUCTIONS})
    if len(set(arguments.seeds)) < 2:
        raise SettingError("--seeds needs two seeds or more: one alone has no spread to show")
    if arguments.jobs < 1:
        raise SettingError(f"--jobs is {arguments.jobs}: it must be 1 or more")
    studies = [REPRODUCTIONS[name] for name in arguments.only if name in REPRODUCTIONS]
    if arguments.pilot and not studies:
        raise SettingError("--pilot is of reproductions: name one by --only (--list lists them)")
    if arguments.list:
        console.print(listed(docs))
        return 0
    torch.set_num_threads(1)
    (docs / THEORY).mkdir(exist_ok=True)
    for name in arguments.only or EXPERIMENTS:
        if name in EXPERIMENTS:
            _measure(EXPERIMENTS[name], arguments, docs, console)
    failed = sum(_train(study, arguments, docs, console) for study in studies)
    if studies or (arguments.write_only and not arguments.only):
        _write_results(docs, drawn=studies or list(REPRODUCTIONS.values()))
    return 1 if failed else 0


def listed(docs: Path) -> Table:
    """Every experiment and reproduction, how far it is, and what it costs."""
    table = Table(box=None, pad_edge=False)
    for name in ("name", "what it answers", "runs", "costs"):
        table.add_column(name, overflow="fold")
    for each in EXPERIMENTS.values():
        there = "measured" if (docs / THEORY / f"{each.name}.csv").exists() else "not measured"
        table.add_row(each.name, each.title, there, f"{each.minutes:g} min")
    for study in REPRODUCTIONS.values():
        total = len(study.arms) * study.seeds
        done = finished_runs(study, docs / FOLDER)
        left = (total - done) * study.minutes / 60
        costs = f"{study.hours:.1f} h, {left:.1f} h left" if done else f"{study.hours:.1f} h"
        table.add_row(study.name, study.title, f"{done} of {total}", costs)
    table.caption = "Costs are hours and minutes of one core; --only NAME runs one"
    return table


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


def _measure(experiment: Experiment, arguments: Arguments, docs: Path, console: Console) -> None:
    begun = time.process_time()
    write(experiment, arguments, docs / THEORY)
    (docs / f"{THEORY}.md").write_text(page(list(EXPERIMENTS.values()), docs / THEORY))
    spent = time.process_time() - begun
    console.print(f"{experiment.name}: {spent:.0f} s of CPU", highlight=False)


def _train(study: Reproduction, arguments: Arguments, docs: Path, console: Console) -> int:
    """Train what is missing of a reproduction, or of its pilot; the runs that failed."""
    if arguments.write_only:
        return 0
    folder, pilot = docs / FOLDER, arguments.pilot
    folder.mkdir(exist_ok=True)
    outdated = results_of(study, folder).outdated
    if outdated and not pilot:
        console.print(
            f"{study.name}: {outdated} runs were made under another protocol and count for nothing",
            highlight=False,
        )
    if not pilot and (taken := take_over(study, REPRODUCTIONS.values(), folder)):
        console.print(
            f"{study.name}: {taken} runs are those of other studies, and are taken from these",
            highlight=False,
        )
    failed = train(
        study, arguments.runs, folder, pilot=pilot, parallel=arguments.jobs, console=console
    )
    sd = spread(study, folder)
    if pilot and sd is not None:
        least = detectable(sd, study.seeds, len(study.contrasts))
        console.print(
            f"{study.name}: deviation {sd:.2f} points; {study.seeds} seeds show {least:.2f}",
            highlight=False,
        )
    return failed


def _write_results(docs: Path, drawn: Sequence[Reproduction]) -> None:
    """Figures of studies that are finished, and the page's section of all of them."""
    folder = docs / FOLDER
    for study in drawn:
        if finished_runs(study, folder) == len(study.arms) * study.seeds:
            draw(study, folder)
    text = overview(list(REPRODUCTIONS.values()), folder)
    results = docs / f"{RESULTS}.md"
    results.write_text(with_section(results.read_text(), FOLDER, text))


if __name__ == "__main__":
    sys.exit(main())
