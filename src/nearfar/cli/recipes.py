"""`nearfar recipes [NAME]`: the recipes that `nearfar train` knows, at a glance or one in full."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse

if TYPE_CHECKING:
    from nearfar.recipes.recipe import Recipe
    from nearfar.terminal import Terminal

_FAMILIES = {
    "Pictures of your own": ("folder",),
    "Handwritten digits, inside scikit-learn": ("digits",),
    "Fashion-MNIST; 4 minutes on one thread where no time is told": ("fashion-mnist",),
    "CIFAR, STL-10, ImageNet": ("cifar10", "cifar100", "stl10", "imagenet"),
    "Series and tables, inside packages": ("japanese-vowels", "wine"),
}
"""What the recipes are shown by: sources of data."""

_FIGURE = re.compile(r"\b(\d\d\.\d+(?: ± \d+\.\d+)?)(?=[^.]| |$)")
_PROTOCOLS = {"kNN": "kNN", "classifier": "classifier", "linear": "probe"}
"""Word of the description, and what the table calls it; the first that occurs judges the figure."""
_TIME = re.compile(r"[Tt]raining(?: and judging)? (?:takes?|took) (?:about )?(.+?) (?:on|of) ")
_HARDWARE = re.compile(r"[Mm]eant for (two CPU|one GPU|several GPU|eight GPU)")
_SHORT = {"two CPU": "CPU", "one GPU": "GPU", "several GPU": "GPUs", "eight GPU": "8 GPUs"}


@dataclass(frozen=True)
class RecipesArguments:
    """List the recipes that `nearfar train` knows, or tell all of one."""

    name: Annotated[Positional[str | None], arg(metavar="NAME")] = None
    """Recipe to tell all of; without one, a table of all."""


@dataclass(frozen=True)
class Facts:
    """What the table shows of a recipe; "–" where its description says nothing.

    Attributes:
        method: The method's title; of SimCLR over another objective than its own, the objective.
        time: Of training, or what it is meant for.
        figure: Top-1 in % that is expected, and by what; "source:" where the source has read it.
    """

    method: str
    time: str
    figure: str


def run(words: Sequence[str]) -> None:
    """Runs `nearfar recipes` with the words after it."""
    arguments = parse(RecipesArguments, "recipes", words)

    from nearfar.recipes.names import RECIPES, recipe_named
    from nearfar.terminal import Terminal

    console = Terminal(highlight=False)
    if arguments.name is not None:
        recipe_named(arguments.name)  # a name that is not known is refused, with the nearest
        _tell(console, arguments.name, description_of(RECIPES[arguments.name]))
        return
    for family, sources in _FAMILIES.items():
        recipes = {name: make for name, make in RECIPES.items() if make().data.name in sources}
        _list(console, family, recipes)
    console.print(
        "[bold]nearfar recipes NAME[/bold] tells all of one, [bold]nearfar train NAME[/bold] runs "
        "it; * is taken without a name.\n[dim]time: of training, or what it is meant for; source: "
        "published, not reproduced here.[/dim]"
    )


def description_of(recipe: "Callable[[], Recipe]") -> str:
    """The description of a recipe: the text at the head of its module."""
    return cleandoc(sys.modules[recipe.__module__].__doc__ or "")


def facts_of(recipe: "Callable[[], Recipe]") -> Facts:
    """What a recipe's settings and description say, in a few words each."""
    from nearfar.methods.specs import SimCLRSpec

    spec = recipe().method
    method = spec.title
    if isinstance(spec, SimCLRSpec) and spec.objective.name != "nt_xent":
        method = spec.objective.name
    told = " ".join(description_of(recipe).split())
    expected = told[told.find("Expected") :]
    measured, meant = _TIME.search(told), _HARDWARE.search(told)
    time = measured[1] if measured else _SHORT[meant[1]] if meant else "–"
    figure = _FIGURE.search(expected)
    if figure is None:
        return Facts(method, time, "–")
    by = min(_PROTOCOLS, key=lambda word: (expected.find(word) < 0, expected.find(word)))
    whose = "source: " if "source reads" in expected else ""
    return Facts(method, time, f"{whose}{figure[1].replace(' ', '')} {_PROTOCOLS[by]}")


def _list(console: "Terminal", family: str, recipes: "dict[str, Callable[[], Recipe]]") -> None:
    """One family as a table, a line a recipe."""
    from rich.table import Table

    from nearfar.recipes.names import DEFAULT_RECIPE

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("recipe", "method", "time", "top-1 expected"):
        table.add_column(title, no_wrap=True)
    for name, make in recipes.items():
        facts = facts_of(make)
        mark = "*" if name == DEFAULT_RECIPE else ""
        table.add_row(f"{name}{mark}", facts.method, facts.time, facts.figure)
    console.print(f"[bold]{family}[/bold]")
    console.print(table)
    console.print()


def _tell(console: "Terminal", name: str, description: str) -> None:
    """The whole story of one recipe."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(f"[bold]{name}[/bold]")
    # A line that names no fact ("Command:", "Expected:") goes on with the one above it.
    head = re.sub(r"\n(?!\n|[A-Z][a-z]+:)", " ", description).replace("\n\n", "\n")
    console.print(Padding(Text(head), (0, 0, 0, 2)))
