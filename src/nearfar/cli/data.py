"""`nearfar data`: the sources of images, their size, licence and citation."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearfar.cli.arguments import parse


@dataclass(frozen=True)
class DataArguments:
    """List the sources of images that --data.name takes."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar data` with the words after it."""
    parse(DataArguments, "data", words)

    from rich.table import Table

    from nearfar.data.catalogue import SOURCES
    from nearfar.terminal import Terminal, shown

    console = Terminal()
    for name, source in SOURCES.items():
        grid = Table.grid(padding=(0, 2))
        facts = {
            "images": source.summary,
            "size": source.size,
            "licence": source.licence,
            "cite": source.citation,
            "home": source.home,
        }
        for label, fact in facts.items():
            if fact:
                grid.add_row(f"  [dim]{label}[/dim]", shown(fact))
        console.print(f"[bold]{shown(name)}[/bold]")
        console.print(grid)
    console.print(
        "With labels, --data.imbalance-factor 100 thins the training part to a long tail, and "
        "--data.label-noise 0.2 mixes up a share of the labels that learning sees."
    )
