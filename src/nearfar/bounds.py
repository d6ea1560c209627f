"""How large and how small a number of a setting may be. Imports nothing heavy."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

from nearfar.errors import SettingError

HIGHEST_SEED = 2**32 - 1
"""NumPy's and scikit-learn's generators take no larger one."""

_HIGHEST_COUNT = 2**31 - 1
_SMALLEST, _LARGEST = (
    1e-30,
    1e30,
)  # float32 holds these, their products with 1e7, and their inverses


def check_numbers(settings: Any, prefix: str = "") -> None:
    """Refuse numbers that no computation can hold: not finite, or beyond float32 or int32.

    What a setting may be more narrowly is for the room that reads it.

    Args:
        settings: A dataclass of settings, with others and tuples of numbers inside.
        prefix: What stands before the names of its fields.

    Raises:
        SettingError: Naming the first such setting.
    """
    for field in fields(settings):
        name, value = prefix + field.name, getattr(settings, field.name)
        if is_dataclass(value):
            check_numbers(value, f"{name}.")
        else:
            check_number(name, value)


def check_range(name: str, value: int | float, lowest: int | float, highest: int | float) -> None:
    """Refuse a number that is not from the lowest to the highest, both included, or is NaN.

    Args:
        name: Of the setting, as messages call it.
        value: What was asked for.
        lowest: The smallest that will do.
        highest: The largest that will do.

    Raises:
        SettingError: Naming the setting, its value and what it may be.
    """
    if not lowest <= value <= highest:
        raise SettingError(f"{name} is {told(value)}: it must be {lowest:,} to {highest:,}")


def check_seed(name: str, seed: int) -> None:
    """Refuse a seed that a generator would refuse later.

    Raises:
        SettingError: It is not 0 to 2³² − 1.
    """
    if not 0 <= seed <= HIGHEST_SEED:
        raise SettingError(f"{name} is {told(seed)}: it must be 0 or more, up to {HIGHEST_SEED}")


def check_number(name: str, value: Any) -> None:
    """Refuse a number, or one in a tuple, that no computation can hold; anything else passes.

    Args:
        name: Of the setting, as messages call it.
        value: What was asked for.

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
