"""A `Recipe` as nested JSON and back: the `config.json` of a run folder."""

from pathlib import Path
from typing import Any

from nearfar.errors import SettingError
from nearfar.recipes.data_root import FROM_RUN, both_roots, tried_roots
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import as_spec, to_json
from nearfar.training.config_format import read_config


def recipe_to_json(recipe: Recipe, *, run: Path | None = None) -> dict[str, Any]:
    """The recipe as nested dictionaries of JSON's own types, every setting named.

    Args:
        recipe: Any recipe.
        run: The run folder that it is for: the root of the data is then given as `read_recipe`
            finds it again, absolute and from the run.
    """
    values = to_json(recipe)
    if run is not None and recipe.data.place is not None:
        values["data"] |= both_roots(recipe.data.place, run)
    return values


def recipe_from_json(values: dict[str, Any], *, where: str | Path = "config.json") -> Recipe:
    """The recipe that `recipe_to_json` gave; settings left out keep their defaults.

    Args:
        values: Nested dictionaries.
        where: What errors call them: the file they came from.

    Raises:
        SettingError: A setting does not exist (the message names the nearest), or its value is of
            the wrong kind.
    """
    try:
        return as_spec(Recipe, values)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from None


def read_recipe(run: Path) -> Recipe:
    """The recipe that a run follows, its data where they are now.

    The data are looked for where they were, then where they lie seen from the run. Where they are
    in neither place, the root is the first (`refuse_lost_data`).

    Args:
        run: An existing run folder.

    Raises:
        NearfarError: It is no run folder, or its `config.json` is damaged.
        SettingError: It holds settings that this version does not know.
    """
    folder = RunFolder.open(run)
    values = read_config(folder)
    if isinstance(data := values.get("data"), dict):
        tried = tried_roots(data, folder.path)
        data = {key: value for key, value in data.items() if key != FROM_RUN}
        if found := next((root for root in tried if root.exists()), None):
            data["root"] = str(found)
        values = {**values, "data": data}
    return recipe_from_json(values, where=folder.config)
