"""Words that choose one of several: `--method moco`, `--method.objective vicreg`.

What is chosen decides which options there are, so these words are read before the others.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from nearfar.errors import SettingError
from nearfar.spec import Choice, changed_choice

Settings = TypeVar("Settings")


def choose(settings: Settings, words: Sequence[str]) -> tuple[Settings, list[str]]:
    """Settings with everything chosen as the words say, and the words that are left.

    Args:
        settings: A dataclass whose fields hold choices and other settings.
        words: Of the command line.

    Raises:
        SettingError: A name is missing, or nothing has this name.
    """
    left = list(words)
    return _chosen(settings, "--", left), left


def _chosen(settings: Any, prefix: str, words: list[str]) -> Any:
    """The settings with their choices made; the words that make them are taken away."""
    changed = {}
    for each in fields(settings):
        value, option = getattr(settings, each.name), prefix + each.name.replace("_", "-")
        if isinstance(value, Choice):
            for name in _taken(words, option, value):
                value = changed_choice(value, name)
        if is_dataclass(value) and any(word.startswith(f"{option}.") for word in words):
            value = _chosen(value, f"{option}.", words)
        if value is not getattr(settings, each.name):
            changed[each.name] = value
    return replace(settings, **changed) if changed else settings


def _taken(words: list[str], option: str, current: Choice) -> list[str]:
    """The names that are given to an option or to its `.name`, taken out of the words."""
    names, place = [], 0
    while place < len(words):
        word, equals, value = words[place].partition("=")
        if word.replace("_", "-") not in (option, f"{option}.name"):
            place += 1
            continue
        given = [value] if equals else words[place + 1 : place + 2]
        if not given or given[0].startswith("--"):
            known = ", ".join(current.known())
            raise SettingError(f"{option} names no {current.noun}: choose one of {known}")
        names += given
        del words[place : place + (1 if equals else 2)]
    return names
