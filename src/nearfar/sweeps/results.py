"""What came out of a sweep: a table, a page, and some lines for a person."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nearfar.durable_files import write_durably
from nearfar.sweeps.chosen_figures import chosen_figures, headline
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import Study, shown_value
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.sweep_page import sweep_page
from nearfar.sweeps.trials import Trial, best_first
from nearfar.terminal import shown
from nearfar.uses.tables import write_table

_TOLD = 5


def write_results(search: Search, table: Path | None = None, notice: str = "") -> None:
    """Write `sweep.csv` and `sweep.html` as far as the sweep has come, and a table besides.

    Args:
        search: The sweep's.
        table: Where every run is written once more: .csv or .parquet.
        notice: What the page says where the sweep is not at its end.
    """
    columns = run_columns(search.study, search.folder, search.trials())
    for path in [search.folder.table, *([table] if table else [])]:
        write_table(path, columns)
    write_page(search, notice)


def write_page(search: Search, notice: str = "") -> None:
    """Write `sweep.html`, whole at any time, as far as the sweep has come.

    Args:
        search: The sweep's.
        notice: What it says where the sweep is not at its end.
    """
    page = sweep_page(search.study, search.folder, search.trials(), notice)
    write_durably(search.folder.page, page.encode(errors="backslashreplace"))


def run_columns(study: Study, folder: SweepFolder, trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """A line for each run: the trial with its values, the seed, and what its check found.

    Args:
        study: Of the sweep.
        folder: Of the sweep.
        trials: All of them.
    """
    runs = [(trial, seed) for trial in trials for seed in study.seeds]
    return {
        "trial": [trial.number for trial, _ in runs],
        "state": [trial.state for trial, _ in runs],
        "seed": [seed for _, seed in runs],
        **{
            axis.setting: _of_one_type([trial.point[axis.setting] for trial, _ in runs])
            for axis in study.axes
        },
        "check": [trial.checks.get(seed) for trial, seed in runs],
        "trial_mean": [trial.mean for trial, _ in runs],
        "trial_sd": [trial.sd for trial, _ in runs],
        "seconds": [trial.seconds.get(seed) for trial, seed in runs],
        "run": [str(folder.run(t.number, seed).relative_to(folder.path)) for t, seed in runs],
        "told": [trial.told for trial, _ in runs],
    }


def _of_one_type(values: list[Any]) -> list[Any]:
    """Values that a column of Parquet can hold: numbers, or else all of them as text."""
    numbers = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        whole = all(isinstance(value, int) for value in numbers)
        return values if whole else [None if v is None else float(v) for v in values]
    if all(isinstance(value, bool) for value in numbers):
        return values
    return [None if value is None else str(value) for value in values]


def tell(search: Search, console: Console, table: Path | None = None) -> None:
    """Say which trials are best, how the first does on test images, and where all of it lies.

    Args:
        search: The sweep's.
        console: Where to.
        table: What was written besides.
    """
    study, trials = search.study, search.trials()
    best = best_first(trials)
    if best:
        console.print(_best_table(study, best[:_TOLD]))
    counts = {state: sum(t.state == state for t in trials) for state in ("pruned", "failed")}
    said = [f"{len(best)} of {len(trials)} trials finished"]
    said += [f"{count} {state}" for state, count in counts.items() if count]
    console.print(f"[dim]{', '.join(said)}; check: {study.maximise} on held-out images, %[/dim]")
    for row in headline(chosen_figures(search.folder, best[0])) if best else ():
        console.print(
            f"on test images, which chose nothing: trial {best[0].number} has "
            f"{shown(row.values['encoder'])} % by {shown(row.title)}"
        )
    for path in (search.folder.page, search.folder.table, table):
        if path is not None:
            console.print(shown(path), soft_wrap=True)


def _best_table(study: Study, best: Sequence[Trial]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column("check", justify="right", no_wrap=True)
    for axis in study.axes:
        table.add_column(shown(axis.setting.rpartition(".")[2]), overflow="fold")
    for trial in best:
        values = (shown_value(trial.point[axis.setting]) for axis in study.axes)
        table.add_row(str(trial.number), trial.text, *map(shown, values))
    return table
