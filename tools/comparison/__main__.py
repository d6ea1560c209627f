"""Train every method on Fashion-MNIST over several seeds and write docs/results.md.

python -m tools.comparison --data-root FOLDER                   all: about 4 hours on two cores
python -m tools.comparison --data-root FOLDER --only moco2-fashion byol-fashion
python -m tools.comparison --write-only                         from the runs that are there

What is done is skipped and what was cut goes on, so the command can be given again at any time.
SIGINT or SIGTERM lets every run save its state first.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from rich.console import Console

from nearfar.errors import SettingError, require_known
from nearfar.recipes.check import check_settings
from nearfar.recipes.recipe import Recipe
from tools.command import run_command
from tools.comparison.chart import draw
from tools.comparison.claims import claims
from tools.comparison.experiments import experiments, is_long_tailed, seeds_of
from tools.comparison.jobs import Job, train_all
from tools.comparison.page import section
from tools.comparison.scores import Scores
from tools.results import PAGE, with_section

ROOT = Path(__file__).parents[2]
FIGURE = PAGE.parent / "comparison.svg"


@dataclass(frozen=True)
class Arguments:
    """Train every method on Fashion-MNIST over several seeds and write docs/results.md."""

    data_root: Path | None = None
    """Folder of the four IDX files; Debian has them in /usr/share/datasets/fashion-mnist."""
    out: Path = ROOT / "runs" / "comparison"
    """Folder of the run folders."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of every experiment."""
    further_seeds: tuple[int, ...] = (3, 4)
    """Seeds, beside, of what three seeds left undecided."""
    jobs: int = 2
    """Runs at a time, each on one thread."""
    only: tuple[str, ...] = ()
    """Experiments to train; left out, all of them."""
    write_only: bool = False
    """Train nothing: write from the runs that are there."""


def main(words: Sequence[str] | None = None) -> int:
    """Run what is missing and rewrite the section; the exit code."""

    def work(arguments: Arguments) -> int:
        return compare(arguments, experiments(), PAGE, FIGURE, Console())

    return run_command("tools.comparison", Arguments, work, words)


def compare(
    arguments: Arguments,
    wanted: dict[str, Recipe],
    page: Path,
    figure: Path,
    console: Console,
) -> int:
    """Train what is asked for, then write the page and the figure from all that is there."""
    require_known("experiment", arguments.only, wanted)
    seeds = seeds_of(wanted, arguments.seeds, arguments.further_seeds)
    failed = []
    if not arguments.write_only:
        jobs = [
            job_of(name, recipe, seed, arguments)
            for seed in dict.fromkeys(chain.from_iterable(seeds.values()))
            for name, recipe in wanted.items()
            if seed in seeds[name] and (not arguments.only or name in arguments.only)
        ]
        for job in jobs:
            check_settings(job.recipe)
        if arguments.jobs < 1:
            raise SettingError(f"--jobs is {arguments.jobs}: it must be 1 or more")
        arguments.out.mkdir(parents=True, exist_ok=True)
        failed = train_all(jobs, parallel=arguments.jobs, console=console)
    write(arguments, wanted, seeds, page, figure)
    console.print(f"written: {page} and {figure}", highlight=False)
    return 1 if failed else 0


def job_of(name: str, recipe: Recipe, seed: int, arguments: Arguments) -> Job:
    """The run of an experiment and a seed."""
    data = replace(recipe.data, root=arguments.data_root or recipe.data.root)
    return Job(replace(recipe, seed=seed, data=data), arguments.out / f"{name}-seed{seed}")


def write(
    arguments: Arguments,
    wanted: dict[str, Recipe],
    seeds: dict[str, tuple[int, ...]],
    page: Path,
    figure: Path,
) -> None:
    """Tables, figure and claims from the runs that are finished."""
    found: dict[str, dict[int, Path]] = {}
    for name, recipe in wanted.items():
        for seed in seeds[name]:
            job = job_of(name, recipe, seed, arguments)
            if job.finished:
                job.prepare()  # refuses a run that has other settings
                found.setdefault(name, {})[seed] = job.folder
    scores = Scores(found)
    plain = {name: recipe for name, recipe in wanted.items() if recipe.recipe == name}
    text = section(
        scores,
        wanted,
        plain,
        claims(wanted, plain),
        seeds=seeds,
        figure=figure.relative_to(page.parent).as_posix(),
    )
    if found:
        shown = [name for name in plain if not is_long_tailed(wanted[name])]
        draw(scores, wanted, shown, figure)
    page.write_text(with_section(page.read_text(), "comparison", text))


if __name__ == "__main__":
    sys.exit(main())
