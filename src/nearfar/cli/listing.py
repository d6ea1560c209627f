"""What the listing commands, such as `nearfar methods`, share: a table, one in full, or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.errors import unknown_name

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.padding import Padding
    from rich.table import Table

    from nearfar.terminal import Terminal


@dataclass(frozen=True)
class ListingArguments:
    """List what there is."""

    name: Annotated[Positional[str | None], arg(metavar="NAME")] = None
    """What to tell all of; without a name, a table of all."""
    json: bool = False
    """Print a JSON list of objects, for programs, and nothing else."""


@dataclass(frozen=True)
class Grid:
    """A small table: its heads, and its rows of texts. A column without any text is not shown.

    Attributes:
        head: A title for each column; empty for a table that speaks for itself.
        rows: As many texts each.
        title: What stands above it.
        below: What stands below it.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    title: str = ""
    below: str = ""


@dataclass(frozen=True)
class Story:
    """All that there is to tell of one thing.

    Attributes:
        title: Its name.
        summary: What it is, in one line.
        paragraphs: More of it.
        command: What to type, to be copied.
        facts: Short facts by their label; empty ones are not shown.
        grids: Its tables.
    """

    title: str
    summary: str
    paragraphs: Sequence[str] = ()
    command: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    grids: Sequence[Grid] = ()


class Listing:
    """What one of the commands lists; a subclass says it.

    Attributes:
        command: Name of the command.
        noun: What a person calls one of the things.
        foot: What the tables' signs mean.
    """

    command: str
    noun: str
    foot: str = ""

    def names(self) -> list[str]:
        """Every name, in the order of the list."""
        raise NotImplementedError

    def tables(self) -> Sequence[Grid]:
        """A line for each thing."""
        raise NotImplementedError

    def story(self, name: str) -> Story:
        """All of one thing."""
        raise NotImplementedError

    def facts(self, name: str) -> dict[str, Any]:
        """The same as an object of JSON's own types."""
        raise NotImplementedError


def run_listing(kind: type[ListingArguments], listing: Listing, words: Sequence[str]) -> None:
    """Runs a command that lists, with the words after it.

    Raises:
        SettingError: There is nothing of the name that is given; the message names the nearest.
    """
    arguments = parse(kind, listing.command, words)

    from nearfar.terminal import Terminal

    console = Terminal(highlight=False)
    names = listing.names()
    if arguments.name is not None and arguments.name not in names:
        raise unknown_name(listing.noun, arguments.name, names)
    if arguments.json:
        asked = names if arguments.name is None else [arguments.name]
        console.out(json.dumps([listing.facts(name) for name in asked], indent=2))
        return
    if arguments.name is not None:
        _tell(console, listing.story(arguments.name))
        return
    for grid in listing.tables():
        show_grid(console, grid)
    console.print(
        f"[bold]nearfar {listing.command} NAME[/bold] tells all of one{listing.foot}",
        soft_wrap=True,
    )


def _tell(console: "Terminal", story: Story) -> None:
    from rich.table import Table

    from nearfar.terminal import shown

    console.print(f"[bold]{shown(story.title)}[/bold]")
    console.print(_indented(shown(story.summary)))
    for paragraph in story.paragraphs:
        console.print()
        # An equation stands deeper than text, and keeps its lines.
        text = paragraph if paragraph.startswith(" ") else " ".join(paragraph.split())
        console.print(_indented(shown(text)))
    if story.command:
        console.print(f"\n  $ {shown(story.command)}", soft_wrap=True)
    facts = {label: fact for label, fact in story.facts.items() if fact}
    if facts:
        grid = Table.grid(padding=(0, 2))
        for label, fact in facts.items():
            grid.add_row(f"[dim]{label}[/dim]", shown(fact))
        console.print()
        console.print(_indented(grid))
    for each in story.grids:
        console.print()
        show_grid(console, each, indent=2)


def show_grid(console: "Terminal", grid: Grid, indent: int = 0) -> None:
    """A table, its title above and a note below it, and an empty line after a table of a list."""
    from nearfar.terminal import shown

    if grid.title:
        console.print(_indented(f"[bold]{shown(grid.title)}[/bold]", indent))
    console.print(_indented(_table(grid), indent))
    if grid.below:
        console.print(_indented(f"[dim]{shown(grid.below)}[/dim]", indent))
    if grid.title and not indent:
        console.print()


def _indented(what: "RenderableType", indent: int = 2) -> "Padding":
    from rich.padding import Padding

    return Padding(what, (0, 0, 0, indent), expand=False)


def _table(grid: Grid) -> "Table":
    """Rich's table of a grid: names are never cut or broken, the last column wraps."""
    from rich.cells import cell_len
    from rich.table import Table

    from nearfar.terminal import shown

    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
        show_header=bool(grid.head),
    )
    used = [place for place in range(len(grid.rows[0])) if any(row[place] for row in grid.rows)]
    for place in used:
        title = grid.head[place] if grid.head else ""
        # A name is there to be typed: where a terminal is narrow, the other columns give way.
        longest = max(cell_len(row[place]) for row in grid.rows) if place == 0 else None
        table.add_column(shown(title), no_wrap=place != used[-1], min_width=longest)
    for row in grid.rows:
        table.add_row(*(shown(row[place]) for place in used))
    return table
