"""Every recipe by name. Imports nothing heavy: the command line reads it for its help."""

from collections.abc import Callable

from nearfar.errors import unknown_name
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.simclr_cifar10 import simclr_cifar10
from nearfar.recipes.simclr_digits import simclr_digits
from nearfar.recipes.simclr_fashion import simclr_fashion

RECIPES: dict[str, Callable[[], Recipe]] = {
    "simclr-digits": simclr_digits,
    "simclr-fashion": simclr_fashion,
    "simclr-cifar10": simclr_cifar10,
}
"""Name of each recipe and the function that returns it."""

DEFAULT_RECIPE = "simclr-digits"
"""The recipe of `nearfar train` without a name: its data need no network."""


def recipe_named(name: str) -> Recipe:
    """The recipe of a name, complete and unchanged.

    Args:
        name: A key of `RECIPES`.

    Raises:
        SettingError: There is no recipe of this name; the message names the nearest.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]()
