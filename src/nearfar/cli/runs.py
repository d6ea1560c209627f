"""`nearfar runs [FOLDER]`: every run below a folder, as a table, JSON or a page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.sweeps.run_table import (
    COLUMNS,
    NOTE,
    NUMBERS,
    Condition,
    cells,
    chosen,
    facts,
    ordered,
)
from nearfar.uses.file_names import check_page

if TYPE_CHECKING:
    from nearfar.terminal import Terminal

_GAP = 2
_WIDEST = 500
_LEAST_NAME = 24
"""Letters of a name that stand on one line where others give way."""
_GIVE_WAY = ("when", "time", "data", "seed", "method", "knn")


@dataclass(frozen=True)
class RunsArguments:
    """List every run below a folder: how far it came, how it checked and how it was judged.

    Unfinished runs and those of sweeps are listed too.
    """

    folder: Annotated[Positional[Path], arg(metavar="[FOLDER]")] = Path("runs")
    """Folder to look through."""
    filter: Annotated[tuple[str, ...], arg(metavar="CONDITION [CONDITION…]")] = ()
    """What all that is listed must be: method=simclr, 'knn>80', state!=finished, name~fashion, or
    any setting by its name, training.batch-size=256."""
    sort: Annotated[str, arg(metavar="COLUMN")] = "name"
    """A column or a setting; accuracies and dates highest first, all else lowest first."""
    reverse: bool = False
    """The other way round."""
    json: bool = False
    """Print a JSON list of objects, for programs, and nothing else."""
    page: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write a page that sorts by a click and opens offline."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar runs` with the words after it."""
    arguments = parse(RunsArguments, "runs", words)
    check_page(arguments.page)
    conditions = [Condition.read(each) for each in arguments.filter]

    from nearfar.standard_streams import say_error
    from nearfar.sweeps.found_runs import find_runs

    found, broken = find_runs(arguments.folder)
    runs = ordered(chosen(found, conditions), arguments.sort, reverse=arguments.reverse)
    if arguments.page is not None:
        from nearfar.sweeps.run_page import write_run_page

        wanted = " ".join(arguments.filter)
        write_run_page(runs, broken, arguments.folder, arguments.page, wanted)
    if arguments.json:
        from nearfar.terminal import Terminal

        Terminal(highlight=False).out(json.dumps([facts(each) for each in runs], indent=2))
        for line in broken:
            say_error(line)
        return
    _show(arguments, len(found), [cells(each) for each in runs], broken)


def _show(
    arguments: RunsArguments, found: int, rows: Sequence[Sequence[str]], broken: Sequence[str]
) -> None:
    """The table for a person, without columns that are empty throughout."""
    from nearfar.terminal import Terminal, shown

    settings = {"highlight": False, "goes_on": arguments.page is not None}
    console = Terminal(**settings)
    if not console.is_terminal:
        console = Terminal(**settings, width=_WIDEST)  # what reads a pipe has no width
    names = [name for place, name in enumerate(COLUMNS) if any(row[place] for row in rows)]
    lost = _too_wide(names, rows, console.width)
    if rows:
        _print_table(console, [name for name in names if name not in lost], rows)
    counted = f"{found:,} run{'' if found == 1 else 's'}"
    said = f"{len(rows):,} of {counted}" if arguments.filter else counted
    console.print(f"[dim]{said} below {shown(arguments.folder)}; {NOTE}[/dim]")
    if lost:
        there = ", ".join(COLUMNS[name] for name in lost)
        console.print(f"[dim]a wider terminal, --page or --json shows {there}, too[/dim]")
    for line in broken:
        console.print(f"[yellow]not read[/yellow]  {shown(line)}", soft_wrap=True)
    if arguments.page is not None:
        console.print(f"page: {shown(arguments.page)}", soft_wrap=True)


def _print_table(console: "Terminal", names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    from nearfar.terminal import shown

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for name in names:
        # A name is there to be typed: it may take several lines, and is never cut.
        table.add_column(
            COLUMNS[name],
            justify="right" if name in NUMBERS else "left",
            overflow="fold",
            no_wrap=name != "name",
        )
    places = [list(COLUMNS).index(name) for name in names]
    for row in rows:
        table.add_row(*(shown(row[place]) for place in places))
    console.print(table)


def _too_wide(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Columns that give way where a line has no room for all, so that names keep theirs."""
    from rich.cells import cell_len

    widths = {
        name: max(cell_len(text) for text in (COLUMNS[name], *(row[place] for row in rows)))
        for place, name in enumerate(COLUMNS)
    }
    widths["name"] = min(widths["name"], _LEAST_NAME)
    lost: list[str] = []
    for name in _GIVE_WAY:
        if sum(widths[each] + _GAP for each in names if each not in lost) - _GAP <= width:
            break
        if name in names:
            lost.append(name)
    return lost
