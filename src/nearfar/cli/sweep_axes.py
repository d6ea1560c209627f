"""`--over SETTING VALUE [VALUE…]` in words: which values, or from where to where."""

import re
from collections.abc import Sequence

from nearfar.errors import SettingError
from nearfar.recipes.recipe import Recipe
from nearfar.spec import Choice
from nearfar.sweeps.axes import AxisSpec, RangeSpec, Value, ValuesSpec, is_wide
from nearfar.sweeps.settings import setting_name, value_of_word, with_settings

_END = r"[-+]?\.?\d[^:]*?"
_RANGE = re.compile(rf"(?P<low>{_END})\.\.(?P<high>{_END})(:(?P<scale>\w*))?")


def taken(words: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The words without every `--over`, and the words behind each of these.

    Raises:
        SettingError: One names no setting, or gives it no value.
    """
    left: list[str] = []
    axes: list[list[str]] = []
    into = left
    for word in words:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            into = left
            if option == "--over":
                axes.append([value] if equals else [])
                into = axes[-1]
                continue
        into.append(word)
    for axis in axes:
        if len(axis) < 2:
            raise SettingError(
                f"--over {' '.join(axis)}: write a setting and its values, such as --over "
                "training.batch-size 128 256"
            )
    return left, axes


def axes_of(recipe: Recipe, told: Sequence[Sequence[str]]) -> tuple[AxisSpec, ...]:
    """The axes that are told, each value in the type of its setting.

    Where one axis chooses what another is a setting of, it comes first.

    Raises:
        SettingError: A setting does not exist, or a value cannot be.
    """
    axes: list[AxisSpec] = []
    for setting, *words in told:
        axes.append(_axis(recipe, setting_name(setting), words))
        recipe = _with_first(recipe, axes[-1])
    return tuple(axes)


def _axis(recipe: Recipe, setting: str, words: Sequence[str]) -> AxisSpec:
    ranges = [_RANGE.fullmatch(word) for word in words]
    if any(ranges):
        match = ranges[0]
        if match is None or len(words) > 1:
            raise SettingError(f"--over {setting} {' '.join(words)}: give one range, or values")
        low, high = (value_of_word(recipe, setting, match[end]) for end in ("low", "high"))
        return _range(setting, words[0], low, high, match["scale"])
    values = tuple(value_of_word(recipe, setting, word) for word in words)
    return ValuesSpec(setting=setting, values=values)


def _range(setting: str, word: str, low: Value, high: Value, scale: str | None) -> RangeSpec:
    numbers = (int, float)
    if not all(isinstance(end, numbers) and not isinstance(end, bool) for end in (low, high)):
        raise SettingError(f"--over {setting} {word}: only numbers have a range")
    if scale not in (None, "log", "linear"):
        raise SettingError(f"--over {setting} {word}: behind the colon stands log or linear")
    assert isinstance(low, numbers)
    assert isinstance(high, numbers)
    log = is_wide(low, high) if scale is None else scale == "log"
    return RangeSpec(setting=setting, low=low, high=high, log=log)


def _with_first(recipe: Recipe, axis: AxisSpec) -> Recipe:
    """The recipe with the first choice of an axis that chooses; else as it is."""
    owner: object = recipe
    for part in axis.setting.split("."):
        owner = getattr(owner, part)
    if not isinstance(owner, Choice):
        return recipe
    try:
        return with_settings(recipe, {axis.setting: axis.ends[0]})
    except SettingError:  # it may fit with another axis; every combination is tried later
        return recipe
