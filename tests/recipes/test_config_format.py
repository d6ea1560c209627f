"""Runs of an earlier form of `config.json` are still read; the form is written into the file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nearfar.data.specs import DigitsSpec, FolderSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.objective_specs import DebiasedNegSpec
from nearfar.methods.unlabelled_specs import MoCoSpec, SimCLRSpec
from nearfar.recipes.config_json import read_recipe, recipe_from_json, recipe_to_json
from nearfar.recipes.names import RECIPES
from nearfar.recipes.run import resume_run
from nearfar.run_folder.folder import RunFolder
from nearfar.training.config_format import FORMAT, in_current_format

KEPT = json.loads(Path(__file__).with_name("recipes.json").read_text())["recipes"]
"""As version 0.1 wrote them, in format 1."""

KEPT_DATA = {**KEPT["simclr-digits"]["data"], "seed": 5}
"""Of the source digits, all settings of all sources named."""


def run_with(config: dict, folder: Path) -> Path:
    RunFolder.create(folder).manifest.write({"config.json": json.dumps(config).encode()})
    return folder


@pytest.mark.parametrize("name", KEPT)
def test_a_run_of_format_1_is_the_recipe_that_it_was(name, tmp_path):
    run = run_with(KEPT[name], tmp_path / "run")
    assert read_recipe(run) == RECIPES[name]()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_written_in_todays_format_and_read_again(name, tmp_path):
    recipe = RECIPES[name]()
    folder = RunFolder.create(tmp_path / "run")
    folder.write_config(recipe_to_json(recipe))
    assert json.loads(folder.config.read_text())["format"] == FORMAT
    assert read_recipe(folder.path) == recipe


@pytest.mark.parametrize("changed", [{"workers": 7}, {"in_memory_mib": 1}, {"test_fraction": 0.4}])
def test_settings_that_a_source_had_without_effect_in_format_1_go(changed):
    recipe = recipe_from_json(in_current_format({"data": KEPT_DATA | changed}))
    assert recipe.data == DigitsSpec(seed=5)
    files = {"name": "folder", "root": "pictures", "fit": "pad"}
    recipe = recipe_from_json(in_current_format({"data": KEPT_DATA | files | changed}))
    assert recipe.data == FolderSpec(root=Path("pictures"), fit="pad", seed=5, **changed)


def test_settings_that_no_source_had_in_format_1_are_refused():
    for strange, said in (({"wrkers": 2}, "did you mean"), ({"fit": "pad"}, "digits has no such")):
        with pytest.raises(SettingError, match=said):
            recipe_from_json(in_current_format({"data": KEPT_DATA | strange}))


def test_settings_of_the_objective_that_a_run_of_format_1_had_are_the_objectives():
    method = {
        "name": "simclr",
        "objective": "debiased_neg",
        "temperature": 0.3,
        "tau_plus": None,
        "beta": 1.0,
        "margin": None,
        "drop_false_negatives": "yes",
        "projection_hidden": None,
        "projection_dim": 64,
    }
    recipe = recipe_from_json(in_current_format({"format": 1, "method": method}))
    objective = DebiasedNegSpec(temperature=0.3, beta=1.0, drop_false_negatives="yes")
    assert recipe.method == SimCLRSpec(
        objective=objective, projection_hidden=None, projection_dim=64
    )


def test_a_run_of_format_1_is_not_gone_on_with(tmp_path):
    run = run_with(KEPT["simclr-digits"], tmp_path / "run")
    before = sorted(path.name for path in run.iterdir())
    with pytest.raises(NearfarError, match=r"run was begun by an earlier nearfar.*start a new run"):
        resume_run(run)
    assert sorted(path.name for path in run.iterdir()) == before


def test_a_format_of_a_later_version_is_refused(tmp_path):
    run = run_with({"format": FORMAT + 1}, tmp_path / "run")
    with pytest.raises(SettingError, match=rf"config.json has format {FORMAT + 1}.*newer nearfar"):
        read_recipe(run)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"name": "mocco"}, "config.json: unknown method 'mocco': did you mean 'moco'?"),
        ({"name": "moco", "momentum": 2}, "config.json: method.momentum is 2: it must be 0 to 1"),
        ({"name": "moco", "beta": 2}, "config.json: unknown setting 'method.beta'"),
        (3, "config.json: method: its settings must be an object, not 3"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(method, said):
    with pytest.raises(SettingError, match=said):
        recipe_from_json({"method": method})


def test_a_choice_may_be_given_by_its_name_alone():
    assert recipe_from_json({"method": "moco"}).method == MoCoSpec()
    assert replace(SimCLRSpec(), objective="debiased_neg").objective == DebiasedNegSpec()
