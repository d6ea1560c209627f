"""From a reproduction to its raw results, its figure and its section of the page."""

from pathlib import Path

from rich.console import Console
from tools.figure_file import save
from tools.many_runs import Job, train_all

from nearfar.durable_files import make_folder
from papers.figures import style
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


def finished_runs(study: Reproduction, folder: Path) -> int:
    """Runs of the study with results under its protocol."""
    return len(results_of(study, folder).finished(study.jobs(Path())))


def draw(study: Reproduction, folder: Path) -> None:
    """The figure of a study all of whose runs are finished."""
    with style():
        save(study.draw(results_of(study, folder).read()), folder / f"{study.name}.svg")
