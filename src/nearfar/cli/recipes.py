"""`nearfar recipes`: the recipes that `nearfar train` knows."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearfar.cli.arguments import parse


@dataclass(frozen=True)
class RecipesArguments:
    """List the recipes that `nearfar train` knows."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar recipes` with the words after it."""
    parse(RecipesArguments, "recipes", words)

    import re
    import sys
    from inspect import cleandoc

    from rich.padding import Padding
    from rich.text import Text

    from nearfar.recipes.names import DEFAULT_RECIPE, RECIPES
    from nearfar.terminal import Terminal

    console = Terminal(highlight=False)
    for name, recipe in RECIPES.items():
        mark = " [dim](default)[/dim]" if name == DEFAULT_RECIPE else ""
        console.print(f"[bold]{name}[/bold]{mark}")
        head = cleandoc(sys.modules[recipe.__module__].__doc__ or "")
        # A line that names no fact ("Command:", "Expected:") goes on with the one above it.
        head = re.sub(r"\n(?!\n|[A-Z][a-z]+:)", " ", head).replace("\n\n", "\n")
        console.print(Padding(Text(head), (0, 0, 1, 2)))
