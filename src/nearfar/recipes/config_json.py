"""A `Recipe` as nested JSON and back: the `config.json` of a run folder."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nearfar.data.specs import SourceSpec
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError, unknown_name
from nearfar.evaluation.specs import EvaluationSpec
from nearfar.methods.specs import MethodSpec
from nearfar.recipes.data_root import FROM_RUN, both_roots, tried_roots
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import Spec, as_spec, to_json
from nearfar.training.config_format import read_config
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import ViewsSpec

_RECIPE = TypeAdapter(Recipe)
Settings = TypeVar("Settings")

_SPECS: dict[str, type[Spec]] = {
    "data": SourceSpec,
    "views": ViewsSpec,
    "encoder": EncoderSpec,
    "method": MethodSpec,
    "training": TrainingSpec,
    "evaluation": EvaluationSpec,
}
"""The rooms of a recipe that hold specs."""


def recipe_to_json(recipe: Recipe, *, run: Path | None = None) -> dict[str, Any]:
    """The recipe as nested dictionaries of JSON's own types, every setting named.

    Args:
        recipe: Any recipe.
        run: The run folder that it is for: the root of the data is then given as `read_recipe`
            finds it again, absolute and from the run.
    """
    values = _RECIPE.dump_python(recipe, mode="json")
    values |= {room: to_json(getattr(recipe, room)) for room in _SPECS}
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
    others = {key: value for key, value in values.items() if key not in _SPECS}
    _refuse_unknown(others, Recipe, prefix="", where=where)
    try:
        chosen = {
            room: as_spec(kind, values[room]) for room, kind in _SPECS.items() if room in values
        }
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from None
    return replace(_validated(Recipe, others, prefix="", where=where), **chosen)


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


def _validated(kind: type[Settings], values: Any, *, prefix: str, where: str | Path) -> Settings:
    """Settings of their own types; the first that does not fit is refused."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = prefix + ".".join(str(part) for part in first["loc"])
        raise SettingError(f"{where}: {key}: {first['msg']}") from error


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
