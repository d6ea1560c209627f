"""`nearfar objectives`: the objectives, their formula, what they need and whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearfar.cli.arguments import parse


@dataclass(frozen=True)
class ObjectivesArguments:
    """List the objectives of `nearfar.objectives`, with formula and source."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar objectives` with the words after it."""
    parse(ObjectivesArguments, "objectives", words)

    from rich.table import Table

    from nearfar.cli.objective_catalogue import NOTATION, OBJECTIVES
    from nearfar.terminal import Terminal, shown

    console = Terminal(highlight=False)
    for name, objective in OBJECTIVES.items():
        grid = Table.grid(padding=(0, 2))
        facts = {
            "call": objective.call,
            "loss": objective.formula,
            "needs": objective.needs,
            "cite": objective.source,
        }
        for label, fact in facts.items():
            grid.add_row(f"  [dim]{label}[/dim]", shown(fact))
        console.print(f"[bold]{name}[/bold]")
        console.print(grid)
    console.print(f"\n{NOTATION}", markup=False)
