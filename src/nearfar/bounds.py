"""What a setting may be, and the error in words where it is something else. Imports no torch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError

from nearfar.errors import SettingError, unknown_name

HIGHEST_SEED = 2**32 - 1
"""NumPy's and scikit-learn's generators take no larger one."""

_HIGHEST_COUNT = 2**31 - 1
_SMALLEST, _LARGEST = 1e-30, 1e30
"""float32 holds these, their products with 1e7, and their inverses."""


def check_range(name: str, value: int | float, lowest: int | float, highest: int | float) -> None:
    """Refuse a number that is not from the lowest to the highest, both included, or is NaN.

    Raises:
        SettingError: Naming the setting, its value and what it may be.
    """
    if not lowest <= value <= highest:
        raise SettingError(f"{name} is {told(value)}: it must be {lowest:,} to {highest:,}")


def check_number(name: str, value: Any) -> None:
    """Refuse a number, or one in a tuple, that no computation can hold; anything else passes.

    Raises:
        SettingError: It is not finite, or beyond float32 or int32.
    """
    if isinstance(value, tuple | list):
        for each in value:
            check_number(name, each)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int):
        if abs(value) > _HIGHEST_COUNT and not name.endswith("seed"):
            raise SettingError(f"{name} is {told(value)}: it must be at most {_HIGHEST_COUNT:,}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise SettingError(f"{name} is {value}: it must be a finite number")
        if value and not _SMALLEST <= abs(value) <= _LARGEST:
            raise SettingError(
                f"{name} is {value:g}: it must be {_SMALLEST:g} to {_LARGEST:g} in size, or 0"
            )


def told(value: Any) -> str:
    """A setting's value in a message; a number of thousands of digits by how many it has."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return f"a number of {math.floor(math.log10(abs(value))) + 1} digits"
    return repr(value) if isinstance(value, str) else str(value)


def refusal(room: str, hints: Mapping[str, Any], error: ValidationError) -> SettingError:
    """The first thing that is wrong, in one line: the setting, its value, and what it may be.

    Args:
        room: What stands before the settings' names.
        hints: The type of each setting, with its bounds.
    """
    first = error.errors()[0]
    name, *within = first["loc"]
    name, hint = str(name), hints[str(name)]
    setting = room + name
    if first["type"] == "literal_error":
        return unknown_name(setting, str(first["input"]), _words_of(hint))
    within = [] if first["type"] == "missing" else within  # then the whole tuple is what was given
    hint, setting = _part_of(hint, within), setting + _place_of(hint, within)
    return SettingError(f"{setting} is {told(first['input'])}: it must be {_wanted(hint, first)}")


def allowed(hint: Any) -> str:
    """What a setting may be, in words: its names, or its kind with its bounds."""
    if words := _words_of(hint):
        return " or ".join(words)
    parts = _different_parts(hint)
    if parts:
        return "; ".join(allowed(part) for part in parts)
    kinds = {int: "whole", float: "", bool: "yes or no"}
    said = [kinds[each] for each in kinds if each in _types_of(hint)]
    said = said if len(said) == 1 else []  # of pairs of different kinds, neither tells
    bounds = _range_in_words(_metadata(hint))
    return ", ".join(each for each in (*said, bounds) if each)


def in_kind(hint: Any) -> str:
    """What a value must be to be read at all: a number, or so many."""
    if words := _words_of(hint):
        numbers = [_KINDS[each] for each in (int, float) if each in _types_of(hint)]
        return " or ".join([*words, *numbers])
    if get_origin(hint) is tuple and Ellipsis in get_args(hint):
        return f"values, each {in_kind(get_args(hint)[0])}"
    parts = _different_parts(hint) or (hint,)
    said = [_KINDS[each] for part in parts for each in _KINDS if each in _types_of(part)]
    length = _length(hint)
    if length > 1 and len(said) == 1:
        return f"{length} values, each {said[0]}"
    return " and then ".join(said) or "given"


_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a word",
    Path: "a path",
}


def _wanted(hint: Any, error: Any) -> str:
    if error["type"].startswith(("greater_than", "less_than")):
        return _range_in_words(_metadata(hint))
    if error["type"] in ("missing", "too_long", "tuple_type"):
        length = _length(hint)
        return f"{length} values" if length else "a list of values"
    if error["type"] == "too_short":
        return f"a list of {error['ctx']['min_length']} or more values"
    kinds = {kind.__name__.lower(): said for kind, said in _KINDS.items()}
    kind = error["type"].partition("_")[0]
    return kinds.get(kind) or error["msg"].removeprefix("Input should be ").lower()


def _different_parts(hint: Any) -> tuple[Any, ...]:
    """The types of the values of a pair, or of a longer tuple, that are of different kinds."""
    parts = get_args(hint) if get_origin(hint) is tuple else ()
    return () if Ellipsis in parts or len(set(parts)) < 2 else parts


def _place_of(hint: Any, within: Sequence[Any]) -> str:
    """Which value of a pair of different kinds is meant."""
    if not _different_parts(hint) or not within:
        return ""
    return f", value {int(within[0]) + 1},"


def _part_of(hint: Any, within: Sequence[Any]) -> Any:
    """The type of the value that is wrong, where the values of a tuple are of different kinds."""
    parts = _different_parts(hint)
    return parts[int(within[0])] if parts and within else hint


def _length(hint: Any) -> int:
    """How many values a tuple of a fixed length has, at any depth of the type; 0 without one."""
    if get_origin(hint) is tuple:
        return 0 if Ellipsis in get_args(hint) else len(get_args(hint))
    return max((_length(part) for part in get_args(hint)), default=0)


def _range_in_words(bounds: list[Any]) -> str:
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
    parts = [part for part in get_args(hint) if not isinstance(part, Gt | Ge | Lt | Le)]
    return [inner for part in parts for inner in _types_of(part)] or [hint]


def _words_of(hint: Any) -> list[str]:
    """The words of a literal, at any depth."""
    if get_origin(hint) is Literal:
        return [str(each) for each in get_args(hint)]
    return [word for part in get_args(hint) for word in _words_of(part)]
