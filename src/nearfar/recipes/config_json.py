"""A `Recipe` as nested JSON and back: the `config.json` of a run folder."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nearfar.errors import SettingError, unknown_name
from nearfar.recipes.recipe import Recipe
from nearfar.training.run_folder import RunFolder

_RECIPE = TypeAdapter(Recipe)


def recipe_to_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries of JSON's own types, every setting named.

    Args:
        recipe: Any recipe.
    """
    return _RECIPE.dump_python(recipe, mode="json")


def recipe_from_json(values: dict[str, Any], *, where: str | Path = "config.json") -> Recipe:
    """The recipe that `recipe_to_json` gave; settings left out keep their defaults.

    Args:
        values: Nested dictionaries.
        where: What errors call them: the file they came from.

    Raises:
        SettingError: A setting does not exist (the message names the nearest), or its value is of
            the wrong kind.
    """
    _refuse_unknown(values, Recipe, prefix="", where=where)
    try:
        return _RECIPE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingError(f"{where}: {key}: {first['msg']}") from error


def read_recipe(run: Path) -> Recipe:
    """The recipe that a run follows.

    Args:
        run: An existing run folder.

    Raises:
        NearfarError: It is no run folder, or its `config.json` is damaged.
        SettingError: It holds settings that this version does not know.
    """
    folder = RunFolder.open(run)
    return recipe_from_json(folder.read_config(), where=folder.config)


def _refuse_unknown(values: dict[str, Any], kind: type, *, prefix: str, where: str | Path) -> None:
    """Refuses keys that are no field of the dataclass, at any depth."""
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    for key, value in values.items():
        if key not in known:
            names = [prefix + name for name in known]
            raise SettingError(f"{where}: {unknown_name('setting', prefix + key, names)}")
        if is_dataclass(known[key]) and isinstance(value, dict):
            _refuse_unknown(value, known[key], prefix=f"{prefix}{key}.", where=where)  # type: ignore[arg-type]
