"""`nearfar methods`: what an encoder can be trained with, whose it is, what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearfar.cli.arguments import parse


@dataclass(frozen=True)
class MethodsArguments:
    """List the methods that recipes train with."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar methods` with the words after it."""
    parse(MethodsArguments, "methods", words)

    from rich.table import Table

    from nearfar.methods.specs import MethodSpec
    from nearfar.recipes.names import RECIPES
    from nearfar.terminal import Terminal, shown

    console = Terminal(highlight=False)
    for name, method in MethodSpec.known().items():
        recipes = [each for each, recipe in RECIPES.items() if recipe().method.name == name]
        facts = {
            "does": method.summary,
            "needs": "labels" if method.needs_labels else "no labels",
            "cite": method.source,
            "recipes": ", ".join(recipes) or f"none yet: nearfar train --method {name}",
        }
        grid = Table.grid(padding=(0, 2))
        for label, fact in facts.items():
            grid.add_row(f"  [dim]{label}[/dim]", shown(fact))
        console.print(f"[bold]{shown(method.title)}[/bold]")
        console.print(grid)
