"""Arguments of a command as a frozen dataclass, read by tyro; what is wrong becomes one line."""

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import tyro

from nearfar.errors import SettingError, unknown_name

Arguments = TypeVar("Arguments")


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
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            arguments, unknown = tyro.cli(
                kind,
                prog=f"nearfar {command}",
                args=list(words),
                return_unknown_args=True,
                default=tyro.MISSING_NONPROP if default is None else default,
            )
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        raise SettingError(f"{_first_words(told.getvalue())} (nearfar {command} --help)") from None
    if unknown:
        raise _unknown_argument(unknown, kind, command)
    return arguments


def option_names(kind: type, prefix: str = "--") -> list[str]:
    """Every option that a dataclass gives, as a person types it.

    Args:
        kind: The dataclass.
        prefix: What stands before each name.
    """
    hints = get_type_hints(kind)
    names = []
    for field in fields(kind):
        name = prefix + field.name.replace("_", "-")
        hint = hints[field.name]
        if is_dataclass(hint):
            names += option_names(hint, f"{name}.")  # type: ignore[arg-type]
        else:
            names.append(name)
    return names


def _unknown_argument(unknown: list[str], kind: type, command: str) -> SettingError:
    """The error for the first word that no option takes."""
    options = [word for word in unknown if word.startswith("-")]
    if not options:
        return SettingError(
            f"{command} does not know what to do with {unknown[0]!r} (nearfar {command} --help)"
        )
    name = options[0].partition("=")[0]
    # Underscores are read as hyphens everywhere else, so they must not hide the nearest name.
    return unknown_name("setting", name.replace("_", "-"), option_names(kind))


def _first_words(box: str) -> str:
    """The message inside tyro's box: what stands before its first rule or blank line."""
    lines: list[Any] = []
    for line in box.splitlines():
        text = line.strip().strip("│").strip()
        if not text or re.fullmatch(r"[─╭╮╰╯]+", text):
            if lines:
                break
            continue
        if not text.startswith("╭"):
            lines.append(text)
    return " ".join(lines).removeprefix("Error parsing ")
