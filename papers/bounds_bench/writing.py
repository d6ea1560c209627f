"""Measurements, figure and page, made from the runs that are there."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tools.figure_file import save

from papers.bounds_bench.figure import DRAWN, draw
from papers.bounds_bench.page import curves_name, figure_name, levels_name, page
from papers.bounds_bench.runs import kept
from papers.bounds_bench.summary import curve_rows, level_rows
from papers.bounds_bench.tasks import TASKS
from papers.bounds_bench.training import Run
from papers.figures import style
from papers.measurements import distinct


def write(task: str, runs: Sequence[Run], out: Path, page_path: Path) -> int:
    """Put a task on the page, if all its runs are there.

    Args:
        task: Of the runs.
        runs: All bounds with all seeds, of one kind of critic.
        out: Folder of the runs.
        page_path: The page; a folder of its name lies beside it.

    Returns:
        How many runs are missing; unless it is 0, nothing was written.
    """
    all_kept = {run: left for run in runs if (left := kept(run, out)) is not None}
    if len(all_kept) < len(runs):
        return len(runs) - len(all_kept)
    found = {run: left.readings for run, left in all_kept.items()}
    made_on = " and ".join(sorted({left.made_on for left in all_kept.values()}))
    kind, folder = runs[0].critic.kind, page_path.with_suffix("")
    folder.mkdir(exist_ok=True)
    put(level_rows(found).assign(made_on=made_on), task, folder / levels_name(kind), "%.5g")
    put(curve_rows(found), task, folder / curves_name(kind), "%.4g")
    redraw(kind, folder)
    page_path.write_text(page(folder))
    return 0


def put(rows: pd.DataFrame, task: str, path: Path, form: str) -> None:
    """Replace a task's rows in a file, tasks in the order of the page."""
    if path.exists():
        old = pd.read_csv(path)
        rows = pd.concat([pd.DataFrame(old[old["task"] != task]), rows], ignore_index=True)
    order = {name: place for place, name in enumerate(TASKS)}
    rows = rows.sort_values("task", key=lambda names: names.map(order), kind="stable")
    rows.to_csv(path, index=False, float_format=form)


def redraw(kind: str, folder: Path) -> None:
    """The figure of a kind of critic, once the staircase and the cubed one are measured."""
    # Drawn from what is kept, so that drawing again gives the same bytes.
    curves = pd.read_csv(folder / curves_name(kind))
    if set(DRAWN) <= set(distinct(curves, "task")):
        with style():
            save(draw(curves), folder / figure_name(kind))
