"""Runs as one self-contained HTML page, its table sorted by a click."""

from collections.abc import Sequence
from pathlib import Path

from nearfar.durable_files import write_durably
from nearfar.report.page import render
from nearfar.sweeps.found_runs import FoundRun
from nearfar.sweeps.run_table import COLUMNS, HIGHEST_FIRST, NOTE, NUMBERS, cells, value_of
from nearfar.sweeps.sortable import Cell, Head, SortableTable


def write_run_page(
    runs: Sequence[FoundRun], broken: Sequence[str], folder: Path, out: Path, wanted: str
) -> None:
    """Write the page in one stroke.

    Args:
        runs: In the order of the table.
        broken: A line for each folder that cannot be read.
        folder: That was looked through.
        out: The page.
        wanted: The conditions, as they were typed; empty for all runs.
    """
    heads = [Head(title, name in NUMBERS, name in HIGHEST_FIRST) for name, title in COLUMNS.items()]
    rows = [
        [
            Cell.of(text, run.done if name == "epochs" else value_of(run, name))
            for name, text in zip(COLUMNS, cells(run), strict=True)
        ]
        for run in runs
    ]
    states = dict.fromkeys(run.state for run in runs)
    counted = ", ".join(f"{sum(run.state == each for run in runs)} {each}" for each in states)
    text = render(
        "runs.html",
        package="nearfar.sweeps",
        charts=False,
        sorts=True,
        folder=str(folder),
        summary=(f"Those with {wanted}. " if wanted else "") + f"{counted or 'None'}.",
        table=SortableTable(heads, rows),
        broken=broken,
        note=NOTE,
    )
    write_durably(out, text.encode(errors="backslashreplace"))
