"""The words of `nearfar train` that make a run again, from its recipe."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from nearfar.recipes.names import DEFAULT_RECIPE, RECIPES
from nearfar.recipes.recipe import Recipe
from nearfar.spec import Choice, Spec, changed_choice


def train_words(recipe: Recipe) -> list[str]:
    """Words behind `nearfar train`: the recipe's name, and every setting that is another there.

    Args:
        recipe: Of a run; one that no name stands for is told from the default recipe on.
    """
    name = recipe.recipe if recipe.recipe in RECIPES else DEFAULT_RECIPE
    return [name, *_differences(RECIPES[name](), recipe, "--", leave_out=("recipe",))]


def train_command(recipe: Recipe, out: str) -> str:
    """The command, as it is typed in a shell, into a folder of that name."""
    return shlex.join(["nearfar", "train", *train_words(recipe), "--out", out])


def _differences(
    before: Spec, after: Spec, prefix: str, *, leave_out: tuple[str, ...] = ()
) -> list[str]:
    words: list[str] = []
    hints = get_type_hints(type(after), include_extras=True)
    for each in fields(after):
        if each.name in leave_out:
            continue
        old, new = getattr(before, each.name), getattr(after, each.name)
        option = prefix + each.name.replace("_", "-")
        if isinstance(new, Choice):
            if old.name != new.name:
                words += [option, new.name]
                old = changed_choice(old, new.name)
            words += _differences(old, new, f"{option}.", leave_out=("name",))
        elif isinstance(new, Spec):
            words += _differences(old, new, f"{option}.")
        elif old != new:
            words += _told(option, prefix, new, flag=hints[each.name] is bool)
    return words


def _told(option: str, prefix: str, value: Any, *, flag: bool) -> list[str]:
    """An option with its value, as the command line reads it."""
    if flag:
        return [option if value else f"{prefix}no-{option.removeprefix(prefix)}"]
    return [option, *_words(value)]


def _words(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [word for each in value for word in _words(each)]
    if isinstance(value, Path):
        return [str(value)]
    return [repr(value) if isinstance(value, float) else str(value)]
