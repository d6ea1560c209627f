"""What may stand after `nearfar`: every command, its options, and the names that each takes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from nearfar.cli.docstrings import setting_texts
from nearfar.spec import Choice, PathOrName, Spec, default_of

_SAFE = re.compile(r"[\w@%+:,./][\w@%+:,./-]*")
"""Names that mean nothing else to a shell; a plug-in's that do are not completed."""
_HELP = 72
"""Characters of help beside an option."""


@dataclass(frozen=True)
class Values:
    """What may stand in a place.

    Attributes:
        names: One of these.
        files: A path.
    """

    names: tuple[str, ...] = ()
    files: bool = False

    def __bool__(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.names) or self.files


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: With its dashes.
        help: What it is, in a few words.
        values: What may follow it; None where nothing does.
    """

    name: str
    help: str
    values: Values | None


@dataclass(frozen=True)
class Command:
    """A command with all that may follow it.

    Attributes:
        name: Of the command.
        summary: What it does.
        options: By name, each once.
        words: What its words without dashes may be.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    words: Values


def table(commands: dict[str, tuple[str, str]]) -> list[Command]:
    """Every command, from the dataclass of its arguments.

    Args:
        commands: Module and summary of each by its name.
    """
    return [
        _command(name, import_module(module), summary)
        for name, (module, summary) in commands.items()
    ]


def _command(name: str, module: Any, summary: str) -> Command:
    kind = getattr(module, f"{name.title()}Arguments")
    options = [
        *_options(kind, "--"),
        *_more(name),
        Option("--help", "every option, and leave", None),
    ]
    known = _values_by_option(name)
    by_name: dict[str, Option] = {}
    for each in options:
        values = known.get(each.name, each.values)
        by_name.setdefault(each.name, Option(each.name, each.help, values))
    return Command(name, summary, tuple(by_name.values()), _words(name, module, kind))


def _more(command: str) -> Iterator[Option]:
    """Options that are read before the others, and so stand in no dataclass of the command."""
    if command == "train":
        from nearfar.cli.train_own import OwnArguments

        yield Option("--config", "settings from JSON or YAML", Values(files=True))
        yield Option("--print-config", "show all settings and train nothing", None)
        yield Option("--from", "begin with a run's encoder and settings", Values(files=True))
        yield Option("--extend", "go on with --from RUN for more epochs", Values())
        yield from _options(OwnArguments, "--")
    if command == "sweep":
        from nearfar.cli.train_arguments import TrainArguments

        yield from _options(TrainArguments, "--")
    if command in ("embed", "neighbors"):
        from nearfar.data.specs import SourceSpec

        yield from _settings_of_choices(SourceSpec, "--data.")


def _values_by_option(command: str) -> dict[str, Values]:
    """Names that options take whose type is any text."""
    from nearfar.data.specs import SourceSpec
    from nearfar.estimators.specs import BoundSpec
    from nearfar.evaluation.protocol_spec import ProtocolSpec
    from nearfar.recipes.transfer_sets import SUITES

    sources, protocols = _names(SourceSpec.known()), _names(ProtocolSpec.known())
    return {
        "train": {"--evaluation.leave-out": Values(protocols)},
        "sweep": {"--evaluation.leave-out": Values(protocols)},
        "evaluate": {"--evaluation.leave-out": Values(protocols)},
        "transfer": {
            "--leave-out": Values(protocols),
            "--sets": Values((*SUITES, *sources)),
        },
        "embed": {"--data": Values(sources, files=True)},
        "neighbors": {"--data": Values(sources, files=True)},
        "mi": {"--bounds": Values(_names(BoundSpec.known()))},
    }.get(command, {})


def _words(command: str, module: Any, kind: type) -> Values:
    """What the words of a command may be that stand behind no option."""
    from nearfar.cli.listing import ListingArguments
    from nearfar.recipes.names import RECIPES
    from nearfar.sweeps.known_studies import studies

    if issubclass(kind, ListingArguments):
        return Values(_names(getattr(module, command.title())().names()))
    if command == "train":
        return Values(_names(RECIPES), files=True)
    if command == "sweep":
        return Values((*_names(studies()), *_names(RECIPES)))
    hints = get_type_hints(kind, include_extras=True)
    placed = [each for each in hints.values() if Positional in getattr(each, "__metadata__", ())]
    named = [_values(each) for each in placed]
    names = tuple(name for each in named if each for name in each.names)
    return Values(names, files=bool(placed) and not names)


@cache
def _options(kind: type, prefix: str) -> tuple[Option, ...]:
    """Every option that a dataclass gives, with those of everything that can be chosen in it."""
    hints, texts = get_type_hints(kind, include_extras=True), setting_texts(kind)
    found: list[Option] = []
    for each in fields(kind):
        hint, help_ = hints[each.name], _short(texts.get(each.name, ""))
        name = prefix + each.name.replace("_", "-")
        if Positional in getattr(hint, "__metadata__", ()) or not each.init:
            continue
        inner = type(default_of(each)) if is_dataclass(default_of(each)) else None
        if inner is not None and issubclass(inner, Choice):
            names = Values(_names(inner.known()))
            found += [Option(name, help_ or f"which {inner.noun}", names)]
            found += _settings_of_choices(inner, f"{name}.")
        elif inner is not None:
            found += _options(inner, f"{name}.")
        elif hint is bool:
            found += _flags(name, prefix, help_, default_of(each), issubclass(kind, Spec))
        elif each.name != "name" or not issubclass(kind, Choice):
            found.append(Option(name, help_, _values(hint)))
    return tuple(found)


def _flags(name: str, prefix: str, help_: str, on: bool, by_recipe: bool) -> list[Option]:
    """An option that is on or off: the one that changes it, or both where a recipe decides."""
    off = f"{prefix}no-{name.removeprefix(prefix)}"
    told = [Option(name, help_, None)] if by_recipe or not on else []
    return [*told, Option(off, "", None)] if by_recipe or on else told


def _settings_of_choices(kind: type[Choice], prefix: str) -> Iterator[Option]:
    """The settings of every choice of a kind: which of them there are, the choice decides."""
    for choice in kind.known().values():
        yield from _options(choice, prefix)


def _values(hint: Any) -> Values:
    """What a type says of the words that give it."""
    if hint is Path or hint == PathOrName:
        return Values(files=True)
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        return Values(_names(str(each) for each in inside))
    if hasattr(hint, "__metadata__"):
        return _values(hint.__origin__)
    if origin in (Union, UnionType, tuple):
        inner = [_values(each) for each in inside if each not in (type(None), ...)]
        names = tuple(dict.fromkeys(name for each in inner for name in each.names))
        return Values(names, any(each.files for each in inner))
    return Values()


def _names(names: Any) -> tuple[str, ...]:
    """Names that may stand in a script."""
    return tuple(name for name in map(str, names) if _SAFE.fullmatch(name))


def _short(text: str) -> str:
    """The first clause of a help text, of printable characters, cut where it is long."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    first = re.split(r"[.;](?:\s|$)| \(", plain, maxsplit=1)[0]
    return first if len(first) <= _HELP else f"{first[: _HELP - 1].rstrip()}…"
