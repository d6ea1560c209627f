"""Train every method on Fashion-MNIST over several seeds and write docs/results.md.

python -m tools.comparison --data-root FOLDER                   all: about 3 hours on two cores
python -m tools.comparison --data-root FOLDER --only moco2-fashion byol-fashion
python -m tools.comparison --write-only                         from the records that are there

What is done is skipped and what was cut goes on, so the command can be given again at any time.
SIGINT or SIGTERM lets every run save its state first. A finished run is kept as a line of
docs/comparison_runs.jsonl, which is committed: no checkout trains it again unless its settings
change. The page and its figure are made from these lines alone. They are written when no run is
missing, so that a part never takes the place of the whole, or when --write-only asks for them as
they are; the page then names the runs that are missing.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from nearfar.durable_files import make_folder
from nearfar.errors import NearfarError, SettingError, require_known
from nearfar.recipes.recipe import Recipe
from tools.command import run_command
from tools.comparison.chart import draw
from tools.comparison.experiments import experiments, is_long_tailed
from tools.comparison.page import section
from tools.comparison.records import RecordFile, RunRecord, record_in
from tools.comparison.scores import Scores
from tools.many_runs import Job, train_all
from tools.markdown import with_section
from tools.results import PAGE

ROOT = Path(__file__).parents[2]
FIGURE, RECORDS = "comparison.svg", "comparison_runs.jsonl"
"""Beside the page."""


@dataclass(frozen=True)
class Arguments:
    """Train every method on Fashion-MNIST over several seeds and write docs/results.md."""

    data_root: Path | None = None
    """Folder of the four IDX files; Debian has them in /usr/share/datasets/fashion-mnist."""
    out: Path = ROOT / "runs" / "comparison"
    """Folder of the run folders; those of recorded runs may be removed."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of every experiment."""
    jobs: int = 2
    """Runs at a time, each on one thread."""
    only: tuple[str, ...] = ()
    """Experiments to train; left out, all of them."""
    write_only: bool = False
    """Train nothing: write from the records that are there."""


def main(words: Sequence[str] | None = None) -> int:
    """Run what is missing and rewrite the section; the exit code."""

    def work(arguments: Arguments) -> int:
        return compare(arguments, experiments(), PAGE, Console())

    return run_command("tools.comparison", Arguments, work, words)


def compare(arguments: Arguments, wanted: dict[str, Recipe], page: Path, console: Console) -> int:
    """Train what is asked for; write the page where all runs have records, or where asked to.

    Args:
        arguments: Of the command.
        wanted: Every experiment, of seed 0.
        page: With the section's two marks; records and figure lie beside it.
        console: Where a person watches.

    Returns:
        The exit code: 1 if a run failed.

    Raises:
        SettingError: An argument cannot be.
        NearfarError: The records are damaged; a run folder holds another run; or the page is to be
            written without a single record.
    """
    require_known("experiment", arguments.only, wanted)
    if arguments.jobs < 1:
        raise SettingError(f"--jobs is {arguments.jobs}: it must be 1 or more")
    jobs = [
        job_of(name, recipe, seed, arguments)
        for seed in dict.fromkeys(arguments.seeds)
        for name, recipe in wanted.items()
    ]
    records = RecordFile(page.with_name(RECORDS))
    _name_outdated(jobs, records, console)
    failed = []
    if not arguments.write_only:
        chosen = [job for job in jobs if not arguments.only or job.experiment in arguments.only]
        for job in chosen:
            job.recipe.data.require_root()
        make_folder(arguments.out)
        failed = train_all(chosen, records, parallel=arguments.jobs, console=console)
    found = _found(jobs, records)
    missing = len(jobs) - sum(map(len, found.values()))
    if missing and not arguments.write_only:
        console.print(
            f"{missing} of {len(jobs)} runs are still missing: {page} stays as it is; --write-only "
            "writes what there is",
            highlight=False,
        )
    elif not found:
        raise NearfarError(f"no run is recorded in {records.path}: {page} stays as it is")
    else:
        write(Scores(found), wanted, arguments.seeds, page)
        console.print(f"written: {page} and {page.with_name(FIGURE)}", highlight=False)
    return 1 if failed else 0


def job_of(name: str, recipe: Recipe, seed: int, arguments: Arguments) -> Job:
    """The run of an experiment and a seed."""
    data = recipe.data.at(arguments.data_root or recipe.data.place)
    recipe = replace(recipe, seed=seed, data=data)
    return Job(name, recipe, arguments.out / f"{name}-seed{seed}")


def write(scores: Scores, wanted: dict[str, Recipe], seeds: Sequence[int], page: Path) -> None:
    """Tables and figure from the runs that are finished."""
    plain = {name: recipe for name, recipe in wanted.items() if recipe.recipe == name}
    text = section(scores, wanted, plain, seeds=seeds, figure=FIGURE)
    shown = [name for name in plain if not is_long_tailed(wanted[name])]
    draw(scores, wanted, shown, page.with_name(FIGURE))
    page.write_text(with_section(page.read_text(), "comparison", text))


def _found(jobs: Sequence[Job], records: RecordFile) -> dict[str, dict[int, RunRecord]]:
    """The records of these runs, by experiment and seed; of those that were measured."""
    held = records.read()
    found: dict[str, dict[int, RunRecord]] = {}
    for job in jobs:
        if record := record_in(held, job):
            found.setdefault(job.experiment, {})[job.recipe.seed] = record
    return found


def _name_outdated(jobs: Sequence[Job], records: RecordFile, console: Console) -> None:
    """Say in a line which records are of other settings than their experiments have now."""
    held = records.read()
    outdated = [
        job.folder.name
        for job in jobs
        if (job.experiment, job.recipe.seed) in held and record_in(held, job) is None
    ]
    if outdated:
        console.print(
            f"records in {records.path} that count for nothing, for their experiments have other "
            f"settings now: {', '.join(outdated)}",
            highlight=False,
        )


if __name__ == "__main__":
    sys.exit(main())
