"""Errors for words in the wrong place, such as a folder or a method where a recipe stands."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from nearfar.data.specs import SourceSpec
from nearfar.errors import SettingError, unknown_name
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.recipes.names import RECIPES, recipes_with


def refuse_misplaced(words: Sequence[str]) -> None:
    """Refuses words of `nearfar train` that are known as something else than what is wanted there.

    Raises:
        SettingError: Naming what was meant, as it is written.
    """
    if words and not words[0].startswith("-") and words[0] not in RECIPES:
        raise _no_recipe(words[0])
    for word, following in zip(words, [*words, ""][1:], strict=True):
        option, given, value = word.partition("=")
        value = value if given else following
        if option != "--data" or value in SourceSpec.known():
            continue
        if value and (options := own_data(Path(value))):
            raise SettingError(f"--data names a source: write {options}")


def own_data(path: Path) -> str:
    """The options by which one's own file or folder is trained on; empty for what is neither."""
    kinds = {".npz": "npz", ".parquet": "parquet"}
    try:
        kind = "folder" if path.is_dir() else kinds.get(path.suffix) if path.is_file() else None
    except OSError:  # a name too long for any file, or a folder that may not be entered
        return ""
    return f"--data {kind} --data.root {path}" if kind else ""


def _no_recipe(name: str) -> SettingError:
    if name in MethodSpec.known():
        return SettingError(f"{name} is a method, not a recipe: {_recipes_of(name)}")
    if name in ObjectiveSpec.known():
        return SettingError(
            f"{name} is an objective, not a recipe: take a recipe of SimCLR with "
            f"--method.objective {name}, such as nearfar train simclr-digits"
        )
    if name in SourceSpec.known():
        if fitting := recipes_with(data=name):
            return SettingError(
                f"{name} is a source of data, not a recipe: nearfar train {_one_of(fitting)}"
            )
        return SettingError(
            f"{name} is a source of data, not a recipe: nearfar train --data {name}"
        )
    if get_close_matches(name, RECIPES, n=1, cutoff=0.8):
        return unknown_name("recipe", name, RECIPES)
    return SettingError(
        f"{name}: no such file or folder to train on, and no recipe of that name "
        "(`nearfar recipes` lists them)"
    )


def _recipes_of(method: str) -> str:
    found = recipes_with(method=method)
    return f"nearfar train {_one_of(found) if found else f'--method {method}'}"


def _one_of(names: Sequence[str]) -> str:
    """The first name, and the others behind it."""
    first, *others = names
    return first + (f" (or {', '.join(others)})" if others else "")


def refuse_settings_for_nothing(words: Sequence[str], evaluation: EvaluationSpec) -> None:
    """Refuse settings of a protocol that takes long and is not run.

    Raises:
        SettingError: Naming the option that runs it.
    """
    run = {each.name for each in evaluation.chosen()}
    for name, protocol in ProtocolSpec.known().items():
        options = protocol.room.replace("_", "-")
        given = any(word.replace("_", "-").startswith(f"--{options}") for word in words)
        if given and not protocol.by_default and name not in run:
            raise SettingError(
                f"{protocol.room.removesuffix('.')} is given settings, and {name} is not run: run "
                f"it by --evaluation.also {name}"
            )
