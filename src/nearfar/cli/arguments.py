"""Arguments of a command as a frozen dataclass, read by tyro; what is wrong becomes one line."""

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import fields, is_dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from nearfar.bounds import in_kind
from nearfar.errors import SettingError, told_at, unknown_name
from nearfar.paths import user_path
from nearfar.spec import Choice, Spec, default_of
from nearfar.standard_streams import reasonable_width

Arguments = TypeVar("Arguments")

_REGISTRY = ConstructorRegistry()
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _NoPathError(Exception):
    """A word that is no path, and why."""


@_REGISTRY.primitive_rule
def _path_rule(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Every path of every command: `~` is spelt out, and what is no path is refused."""
    if kind.type is not Path:
        return None

    def read(words: list[str]) -> Path:
        try:
            return user_path(words[0])
        except SettingError as error:
            # Not a ValueError, which tyro tells in words of its own.
            raise _NoPathError(words[0], str(error)) from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=read,
        is_instance=lambda given: isinstance(given, Path),
        str_from_instance=lambda path: [str(path)],
    )


@_REGISTRY.primitive_rule
def _name_rule(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """The name of a choice: help shows that there are others than the one that is chosen now."""
    if get_origin(kind.type) is not Literal or len(get_args(kind.type)) != 1:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME",
        instance_from_str=lambda words: words[0],
        is_instance=lambda given: isinstance(given, str),
        str_from_instance=lambda name: [name],
    )


def parse(
    kind: type[Arguments], command: str, words: Sequence[str], default: Arguments | None = None
) -> Arguments:
    """Reads the words after a command into its dataclass.

    Args:
        kind: Frozen dataclass; each field is an option, nested dataclasses give dotted options.
        command: Name of the command, for help and errors.
        words: The words after the command.
        default: Values of what is left out; the dataclass's own defaults where not given.

    Raises:
        SettingError: An option does not exist (the message names the nearest), a value does not
            fit, or something needed is missing.
        SystemExit: Help was asked for and has been printed.
    """
    _refuse_unknown_options(words, kind, default)
    told = io.StringIO()

    def read(words: Sequence[str]) -> tuple[Arguments, list[str]]:
        return tyro.cli(
            kind,
            prog=f"nearfar {command}",
            args=list(words),
            return_unknown_args=True,
            registry=_REGISTRY,
            default=tyro.MISSING_NONPROP if default is None else default,
        )

    try:
        with redirect_stderr(told), _reasonable_columns():
            arguments, strays = read(words)
    except SettingError as error:
        for room, place in _moved_rooms(default):
            if _is_at(place, error, words, read):
                with told_at(room, place):
                    raise
        raise
    except _NoPathError as error:
        word, why = error.args
        raise SettingError(f"{_option_of(words, word)}{why}") from None
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        said = _first_words(told.getvalue())
        said = _unreadable(said, words, kind, default) or said
        raise SettingError(f"{said} (nearfar {command} --help)") from None
    if strays:
        raise SettingError(
            f"{command} does not know what to do with {strays[0]!r} (nearfar {command} --help)"
        )
    return arguments


def _moved_rooms(settings: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The specs within settings that stand elsewhere than their messages say: room and place."""
    for each in fields(settings) if is_dataclass(settings) else ():
        held, place = getattr(settings, each.name), f"{prefix}{each.name}."
        if isinstance(held, Spec):
            if held.room != place:
                yield held.room, place
            yield from _moved_rooms(held, place)


def _is_at(
    place: str, error: SettingError, words: Sequence[str], read: Callable[[Sequence[str]], Any]
) -> bool:
    """Whether the options of a place are what is wrong: without them the error goes, or is another.

    Args:
        place: "method.second_encoder.".
        error: What reading all words said.
        words: Of the command line.
        read: Reads words.
    """
    left, own, option = [], False, f"--{place}".replace("_", "-")
    for word in words:
        if word.startswith("--"):
            own = word.replace("_", "-").startswith(option)
        if not own:
            left.append(word)
    try:
        with redirect_stderr(io.StringIO()):
            read(left)
    except (SettingError, SystemExit) as other:
        return str(other) != str(error)
    return True


_UNREADABLE = re.compile(
    r"(--[\w.-]+): (?:invalid literal|could not convert|no type matching|Could not parse|"
    r"Could not find valid parse)|Missing value for argument '(--[\w.-]+)'"
)
"""How tyro begins where a value is missing or not of its option's type, in the words of Python."""


def _unreadable(said: str, words: Sequence[str], kind: type, default: Any) -> str:
    """In plain words that a value is not of its option's type; nothing of other messages.

    Args:
        said: By tyro.
        words: After the command.
        kind: The command's dataclass.
        default: An instance of it, or None.
    """
    found = _UNREADABLE.match(said)
    option = found and (found[1] or found[2])
    hint = _hint_of(option, kind, default) if option else None
    if not option or hint is None:
        return ""
    given = _values_of(option, words)
    return f"{option} {f'is {given!r}' if given else 'has no value'}: it must be {in_kind(hint)}"


def _hint_of(option: str, kind: type, default: Any) -> Any:
    """The type of an option; None where it is of no field."""
    *rooms, name = option.removeprefix("--").replace("-", "_").split(".")
    for room in rooms:
        default = getattr(default, room, None)
        kind = type(default)
    return get_type_hints(kind, include_extras=True).get(name) if is_dataclass(kind) else None


def _values_of(option: str, words: Sequence[str]) -> str:
    """What was given for an option, as it was typed."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != option:
            continue
        if equals:
            return value
        given = takewhile(lambda each: not each.startswith("--"), words[place + 1 :])
        return " ".join(given)
    return ""


@contextmanager
def _reasonable_columns() -> Iterator[None]:
    """Let help be laid out for no fewer columns than it takes, and no more than a line can have."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(reasonable_width(shutil.get_terminal_size().columns))
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def option_names(kind: type, prefix: str = "--", default: Any = None) -> list[str]:
    """Every option that a dataclass gives, as a person types it.

    Args:
        kind: The dataclass.
        prefix: What stands before each name.
        default: An instance; where a field of it holds a choice, the options are that choice's.
    """
    hints = get_type_hints(kind, include_extras=True)
    names = []
    for field in fields(kind):
        name = prefix + field.name.replace("_", "-")
        held = getattr(default, field.name, default_of(field))
        hint = type(held) if is_dataclass(held) else hints[field.name]
        if tyro.conf.Positional in getattr(hint, "__metadata__", ()):
            continue
        if is_dataclass(hint):
            names += option_names(hint, f"{name}.", held)  # type: ignore[arg-type]
        else:
            names.append(name)
            if hint is bool:
                names.append(f"{prefix}no-{name.removeprefix(prefix)}")
    return names


def _refuse_unknown_options(words: Sequence[str], kind: type, default: Any) -> None:
    """Refuses the first option that does not exist, before anything that is missing is named."""
    known = option_names(kind, default=default)
    for word in words:
        # Underscores are read as hyphens everywhere, so they must not hide the nearest name.
        name = word.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name not in (*known, "--help"):
            if not known:
                raise SettingError(f"unknown setting {name!r}: this command takes none")
            group, _, setting = name.removeprefix("--").rpartition(".")
            choice, setting = _choice_at(default, group), setting.replace("-", "_")
            if choice is not None and choice.owners(setting):
                with told_at(choice.room, f"{group.replace('-', '_')}."):
                    raise choice.no_such_setting(setting)
            below, end = f"--{group}.", f".{name.rpartition('.')[2]}"
            deeper = [each for each in known if each.startswith(below) and each.endswith(end)]
            raise unknown_name("setting", name, deeper if len(deeper) == 1 else known)


def _choice_at(settings: Any, group: str) -> Choice | None:
    """The choice that a group of options, "method.objective", is of."""
    for name in group.split("."):
        settings = getattr(settings, name.replace("-", "_"), None)
    return settings if isinstance(settings, Choice) else None


def _option_of(words: Sequence[str], value: str) -> str:
    """`--option: ` of the option that a value was given to; nothing for one without a name."""
    for before, word in zip(["", *words], words, strict=False):
        if word == value and before.startswith("--"):
            return f"{before}: "
        if word.startswith("--") and word.partition("=")[1:] == ("=", value):
            return f"{word.partition('=')[0]}: "
    return ""


def _first_words(box: str) -> str:
    """The message inside tyro's box: what stands below its title, up to a rule or blank line.

    Where the terminal knows no box-drawing characters, the box has no sides and its rules are `-`.
    """
    lines: list[str] = []
    box = _COLOUR.sub("", box)  # tyro's, which looks at standard output, not at where it writes
    for line in box.strip().splitlines()[1:]:
        text = line.strip("│╰╯").rstrip()
        if text.strip("─- "):
            lines.append(text)
        elif lines:
            break
    if len(lines) > 1 and lines[0].strip().startswith("Missing from"):
        # Each option that is missing stands on a line of its own, its help deeper below it.
        depth = _indent(lines[1])
        return "missing " + ", ".join(line.strip() for line in lines[1:] if _indent(line) == depth)
    return " ".join(line.strip() for line in lines).removeprefix("Error parsing ")


def _indent(line: str) -> int:
    """Spaces before the text."""
    return len(line) - len(line.lstrip())


def take_value(words: list[str], option: str, what: str) -> str | None:
    """The value of an option, taken out of the words; None where it is not there.

    Args:
        words: Loses option and value.
        option: With its dashes.
        what: Its value, for the error where that is missing.
    """
    value = None
    while places := [i for i, word in enumerate(words) if word.partition("=")[0] == option]:
        place = places[0]
        _, equals, given = words[place].partition("=")
        value = given if equals else "".join(words[place + 1 : place + 2])
        if not value or (not equals and value.startswith("--")):
            raise SettingError(f"{option} needs {what}")
        del words[place : place + (1 if equals else 2)]
    return value
