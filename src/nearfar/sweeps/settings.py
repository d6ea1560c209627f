"""Settings of a recipe by their dotted names: read, changed together, and words made values."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nearfar.errors import SettingError, told_at, unknown_name
from nearfar.recipes.recipe import Recipe
from nearfar.spec import Choice, Spec, changed_choice
from nearfar.sweeps.axes import Value

AnySpec = TypeVar("AnySpec", bound=Spec)


def setting_name(typed: str) -> str:
    """A setting's name as the specs have it, from how a person types it."""
    return typed.removeprefix("--").replace("-", "_").removesuffix(".name")


def with_settings(spec: AnySpec, changes: Mapping[str, Any]) -> AnySpec:
    """A spec with settings changed, all at once: what holds of several is checked of the whole.

    Args:
        spec: A recipe, or a part of one.
        changes: By dotted name; a choice is given by its name, and made before its settings.

    Raises:
        SettingError: A setting does not exist, or cannot be what it is.
    """
    inner: dict[str, dict[str, Any]] = {}
    changed: dict[str, Any] = {}
    for name, value in changes.items():
        head, _, rest = name.partition(".")
        current = _held(spec, head)
        if rest:
            inner.setdefault(head, {})[rest] = value
        elif isinstance(current, Choice):
            changed[head] = changed_choice(current, str(value))
        elif is_dataclass(current):
            raise SettingError(
                f"{type(spec).room}{head} is a group of settings: name one of them, such as "
                f"{type(spec).room}{head}.{fields(current)[0].name}"
            )
        else:
            changed[head] = value
    for head, deeper in inner.items():
        current = changed.get(head, getattr(spec, head))
        if not isinstance(current, Spec):
            room, (rest, *_) = type(spec).room, deeper
            raise SettingError(f"{room}{head} is one setting: it has no {rest}")
        with told_at(type(current).room, f"{type(spec).room}{head}."):
            changed[head] = with_settings(current, deeper)
    return replace(spec, **changed) if changed else spec


def setting_of(spec: Spec, name: str) -> Any:
    """What a setting is; of a choice its name.

    Raises:
        SettingError: There is none of this name.
    """
    value: Any = spec
    for part in name.split("."):
        value = _held(value, part)
    return value.name if isinstance(value, Choice) else value


def value_of_word(recipe: Recipe, name: str, word: str) -> Value:
    """What a word says of a setting, in its own type.

    Args:
        recipe: Decides which settings there are.
        name: Of the setting.
        word: As it was typed.

    Raises:
        SettingError: There is no such setting, or it cannot be this.
    """
    *path, last = name.split(".")
    owner: Any = recipe
    for part in path:
        owner = _held(owner, part)
    if not isinstance(owner, Spec):
        raise unknown_name("setting", name, [each.name for each in fields(Recipe)])
    current = _held(owner, last)
    if isinstance(current, Choice):
        return changed_choice(current, word).name
    hint = get_type_hints(type(owner), include_extras=True)[last]
    for given in (word, None) if word.lower() == "none" else (word,):
        with suppress(ValidationError):
            value = TypeAdapter(hint).validate_python(given)
            return str(value) if isinstance(value, Path) else value
    # Refused in the words of the setting itself.
    with told_at(type(owner).room, ".".join([*path, ""])):
        with_settings(owner, {last: word})
    raise SettingError(f"{name} is {word!r}: it cannot be that")


def _held(spec: Any, name: str) -> Any:
    if not isinstance(spec, Spec):
        raise SettingError(f"{name}: there is no such setting")
    if name not in {each.name for each in fields(spec)}:
        raise spec.no_such_setting(name)
    return getattr(spec, name)
