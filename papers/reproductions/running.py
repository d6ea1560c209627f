"""From a reproduction to its raw results, its figure and its section of the page."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from tools.figure_file import save
from tools.many_runs import Job, train_all

from nearfar.durable_files import make_folder
from papers.figures import style
from papers.measurements import where
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.results import Results


def results_of(study: Reproduction, folder: Path) -> Results:
    """Where the raw results of a study are."""
    return Results(folder / f"{study.name}.parquet", study.protocol)


def pilot_of(study: Reproduction, folder: Path) -> Results:
    """Where those of its pilot are."""
    return Results(folder / f"pilot-{study.pilot.name}.parquet", study.pilot.protocol)


def train(
    study: Reproduction, runs: Path, folder: Path, *, pilot: bool, parallel: int, console: Console
) -> int:
    """Train what is missing; the number of runs that failed.

    Args:
        study: Which.
        runs: Folder of the run folders of all studies.
        folder: Of raw results and figures.
        pilot: Train the pilot's runs and not the study's.
        parallel: Most runs at a time, each on one thread.
        console: Where a person watches.

    Raises:
        NearfarError: The data are not there, or a folder holds another run; nothing was started.
    """
    jobs: list[Job] = study.pilot.jobs(runs) if pilot else study.jobs(runs)
    results = pilot_of(study, folder) if pilot else results_of(study, folder)
    for recipe in {job.experiment: job.recipe for job in jobs}.values():
        recipe.data.require_root()
    make_folder(jobs[0].folder.parent)
    return len(train_all(jobs, results, parallel=parallel, console=console))


def take_over(study: Reproduction, others: Iterable[Reproduction], folder: Path) -> int:
    """Take runs of the same settings from other studies' results; how many.

    Studies that share an arm share its runs while the run folders are kept; this shares them where
    the results alone are.

    Args:
        study: What lacks runs.
        others: Studies whose results are looked through.
        folder: Of raw results.

    Raises:
        NearfarError: A file of results is damaged.
    """
    own, jobs = results_of(study, folder), study.jobs(Path())
    missing = {job.folder: job for job in set(jobs) - own.finished(jobs)}
    taken = 0
    for other in others:
        held = results_of(other, folder)
        there = other.jobs(Path())
        for same in held.finished(job for job in there if job.folder in missing):
            rows = where(held.read(), arm=same.experiment, seed=same.recipe.seed)
            own.take_over(rows, missing.pop(same.folder))
            taken += 1
    return taken


def finished_runs(study: Reproduction, folder: Path) -> int:
    """Runs of the study with results under its protocol."""
    return len(results_of(study, folder).finished(study.jobs(Path())))


def draw(study: Reproduction, folder: Path) -> None:
    """The figure of a study all of whose runs are finished."""
    with style():
        save(study.draw(results_of(study, folder).read()), folder / f"{study.name}.svg")
