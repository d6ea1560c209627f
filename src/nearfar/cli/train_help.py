"""What `nearfar train --help` says without a recipe: everything that can be set, on two screens."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from rich.table import Table

from nearfar.data.source_spec import OwnDataSpec, SourceSpec
from nearfar.recipes.names import DEFAULT_RECIPE, recipe_named
from nearfar.spec import Choice
from nearfar.terminal import Terminal

_OPENING = f"""usage: nearfar train [RECIPE | PATH | --config FILE] [OPTIONS]

Train an encoder by a recipe or on your own data, judge it, write its report.

  RECIPE         `nearfar recipes` lists them; {DEFAULT_RECIPE} where left out
  PATH           pictures, sounds, table or arrays; --minutes 9, --quality good
  --out DIR      folder of the run, else a new one in runs/; --overwrite: anew
  --resume RUN   go on with an interrupted run; takes no other option
  --from RUN     begin with a run's encoder; --extend EPOCHS: all of it, longer
  --seed INT     seeds the weights, the order of the data and the views

What is chosen by name, then the settings:"""

_SOURCES = 6
"""So many sources are named: all of them would fill a screen."""
_CLOSING = """
  nearfar train RECIPE --help      every setting, with its default; or of a PATH
  … --print-config                 all of them as JSON, as --config reads them
  nearfar methods|data|objectives|protocols NAME    one of them, in full
"""


def print_help() -> NoReturn:
    """Prints it on standard output, and ends as help does.

    Raises:
        SystemExit: Always.
    """
    recipe = recipe_named(DEFAULT_RECIPE)
    console = Terminal()
    console.print(_OPENING, markup=False, highlight=False)
    choices, settings = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
    for option, choice in _choices(recipe, "--"):
        choices.add_row(f"  {option}", _names(choice))
    for each in fields(recipe):
        if is_dataclass(room := getattr(recipe, each.name)):
            settings.add_row(f"  --{each.name}.", ", ".join(_settings(room)))
    console.print(choices, "", settings, highlight=False)
    console.print(_CLOSING, markup=False, highlight=False, end="")
    raise SystemExit(0)


def _names(choice: Choice) -> str:
    """What can be chosen; of sources, which are many, some that need files of one's own."""
    if not isinstance(choice, SourceSpec):
        return ", ".join(choice.known())
    own = [name for name, spec in choice.known().items() if issubclass(spec, OwnDataSpec)]
    return f"{', '.join(own[:_SOURCES])}, …; `nearfar data` lists {len(choice.known())}"


def _choices(settings: Any, prefix: str) -> Iterator[tuple[str, Choice]]:
    """The option of everything that is chosen by name, at any depth, and what is chosen now."""
    for each in fields(settings):
        value, option = getattr(settings, each.name), prefix + each.name.replace("_", "-")
        if isinstance(value, Choice):
            yield option, value
        if is_dataclass(value):
            yield from _choices(value, f"{option}.")


def _settings(room: Any, prefix: str = "") -> Iterator[str]:
    """The names of all settings in a room, without those that choose.

    What has several is named once: "optimizer.learning-rate", ".weight-decay". Those of protocols
    are many, and `nearfar protocols NAME` tells them.
    """
    protocols = False
    for each in fields(room):
        value, name = getattr(room, each.name), prefix + each.name.replace("_", "-")
        if is_dataclass(value) and not isinstance(value, Choice):
            protocols = True
        elif is_dataclass(value):
            for place, inner in enumerate(_settings(value, f"{name}.")):
                yield inner.removeprefix(name) if place else inner
        elif each.name != "name":
            yield name
    if protocols:
        yield "PROTOCOL.…"
