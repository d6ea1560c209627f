"""A recipe in a file: a run's own `config.json`, or what somebody wrote in JSON or YAML."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.config_json import read_recipe, recipe_from_json, recipe_to_json
from nearfar.recipes.names import RECIPES, recipe_named
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import CONFIG_FORMAT, RunFolder
from nearfar.training.config_format import in_current_format

_YAML = (".yaml", ".yml")


def recipe_in(file: Path) -> Recipe:
    """The recipe that a file holds.

    A setting that is left out is that of the recipe which `recipe` names, or has its default where
    none is named. Where another objective, backbone or the like is chosen, its own defaults hold.

    Args:
        file: `config.json` of a run, whose data are looked for as `read_recipe` does; or any other
            `.json`, `.yaml` or `.yml`. A root in it is seen from the working folder.

    Raises:
        SettingError: There is no such file, it cannot be read, or a setting in it cannot be.
        NearfarError: The file is a run's, and damaged.
    """
    if _is_of_run(file):
        return read_recipe(file.parent)
    given = in_current_format({"format": CONFIG_FORMAT, **_read(file)})
    name = given.get("recipe")
    base = recipe_named(name) if isinstance(name, str) and name in RECIPES else Recipe()
    return recipe_from_json(_merged(recipe_to_json(base), given), where=file)


def config_text(recipe: Recipe) -> str:
    """All settings of a recipe as JSON, which `recipe_in` reads."""
    values = {"format": CONFIG_FORMAT, **recipe_to_json(recipe)}
    return json.dumps(values, indent=2)


def _is_of_run(file: Path) -> bool:
    try:
        return RunFolder.open(file.parent).config.samefile(file)
    except (NearfarError, OSError):
        return False


def _read(file: Path) -> Mapping[str, Any]:
    kind = "YAML" if file.suffix.lower() in _YAML else "JSON"
    try:
        text = file.read_text(encoding="utf-8")
        values = _of_yaml(text) if kind == "YAML" else json.loads(text)
    except OSError as error:
        raise SettingError(f"--config {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise SettingError(f"--config {file} is no {kind}: {why}") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise SettingError(f"--config {file} holds no settings by name, such as seed: 3")
    return values


def _of_yaml(text: str) -> Any:
    """What YAML says.

    Raises:
        ValueError: It is none.
    """
    # Here, because JSON does without.
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a base with those that are given in their place."""
    if "name" in base and given.get("name", base["name"]) != base["name"]:
        return dict(given)
    return dict(base) | {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in given.items()
    }
