"""Every recipe by name. Imports nothing heavy: the command line reads it for its help."""

from importlib import import_module

from nearfar.errors import unknown_name
from nearfar.recipes.known import RECIPES
from nearfar.recipes.recipe import Recipe

for _family in (
    "digits",
    "pictures",
    "fashion_mnist",
    "fonts",
    "scenes",
    "cifar",
    "stl10_and_imagenet",
    "series_and_tables",
    "pairs_of_kinds",
    "texts",
):
    import_module(f"nearfar.recipes.{_family}")

DEFAULT_RECIPE = "simclr-digits"
"""The recipe of `nearfar train` without a name: its data need no network."""


def recipes_with(*, method: str | None = None, data: str | None = None) -> list[str]:
    """The names of the recipes that train with a method, or learn from a source."""
    made = {name: recipe() for name, recipe in RECIPES.items()}
    return [
        name
        for name, recipe in made.items()
        if method in (None, recipe.method.name) and data in (None, recipe.data.name)
    ]


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
