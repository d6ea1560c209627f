"""What pydantic finds wrong in a setting, in the words of this project."""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError

from nearfar.bounds import told
from nearfar.errors import SettingError, unknown_name


def refusal(room: str, hints: Mapping[str, Any], error: ValidationError) -> SettingError:
    """The first thing that is wrong, in one line: the setting, its value, and what it may be.

    Args:
        room: What stands before the settings' names.
        hints: The type of each setting, with its bounds.
        error: What pydantic found.
    """
    first = error.errors()[0]
    name = str(first["loc"][0])
    hint = hints[name]
    setting = room + name
    if first["type"] == "literal_error":
        return unknown_name(setting, str(first["input"]), _words_of(hint))
    return SettingError(f"{setting} is {told(first['input'])}: it must be {_wanted(hint, first)}")


def allowed(hint: Any) -> str:
    """What a setting may be, in words: its names, or its kind with its bounds.

    Args:
        hint: Its type, with its bounds.
    """
    if words := _words_of(hint):
        return " or ".join(words)
    kinds = {int: "whole", float: "", bool: "yes or no"}
    said = [kinds[each] for each in kinds if each in _types_of(hint)]
    said = said if len(said) == 1 else []  # of pairs of different kinds, neither tells
    bounds = _range_in_words(_metadata(hint))
    return ", ".join(each for each in (*said, bounds) if each)


def _wanted(hint: Any, error: Any) -> str:
    """What a setting may be, from its annotation."""
    if error["type"].startswith(("greater_than", "less_than")):
        return _range_in_words(_metadata(hint))
    if error["type"] in ("missing", "too_long", "tuple_type"):
        return f"{_length(hint)} values"
    kind = error["type"].partition("_")[0]
    kinds = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "path": "a path",
    }
    return kinds.get(kind) or error["msg"].removeprefix("Input should be ").lower()


def _length(hint: Any) -> int:
    """How many values a tuple of a fixed length has, at any depth of the type."""
    if get_origin(hint) is tuple:
        return len(get_args(hint))
    return max((_length(part) for part in get_args(hint)), default=0)


def _range_in_words(bounds: list[Any]) -> str:
    """Bounds as people say them."""
    low = next((each for each in bounds if isinstance(each, Gt | Ge)), None)
    high = next((each for each in bounds if isinstance(each, Lt | Le)), None)
    if isinstance(low, Ge) and isinstance(high, Le):
        return f"{low.ge:,} to {high.le:,}"
    said = []
    if low is not None:
        said.append(f"above {low.gt:,}" if isinstance(low, Gt) else f"{low.ge:,} or more")
    if high is not None:
        said.append(f"below {high.lt:,}" if isinstance(high, Lt) else f"at most {high.le:,}")
    return (", and " if isinstance(low, Ge) else " and ").join(said)


def _metadata(hint: Any) -> list[Any]:
    """What is said of a type beside it, at any depth: its bounds."""
    inner = [each for part in get_args(hint) for each in _metadata(part)]
    return [*getattr(hint, "__metadata__", ()), *inner]


def _types_of(hint: Any) -> list[Any]:
    """The types that a type is made of."""
    parts = [part for part in get_args(hint) if not isinstance(part, Gt | Ge | Lt | Le)]
    return [inner for part in parts for inner in _types_of(part)] or [hint]


def _words_of(hint: Any) -> list[str]:
    """The words of a literal, at any depth."""
    if get_origin(hint) is Literal:
        return [str(each) for each in get_args(hint)]
    return [word for part in get_args(hint) for word in _words_of(part)]
