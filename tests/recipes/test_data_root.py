"""A run finds its data again, from any folder and after a move."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from small_recipe import light_recipe, write_images

from nearfar.cli import main
from nearfar.data.specs import CIFAR10Spec, FolderSpec
from nearfar.errors import SettingError
from nearfar.recipes.config_json import read_recipe, recipe_to_json
from nearfar.recipes.data_root import refuse_lost_data
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import evaluate_run, resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder


def _run(folder, root):
    """A run folder whose settings alone are there."""
    recipe = Recipe(data=FolderSpec(root=root))
    RunFolder.create(folder).write_config(recipe_to_json(recipe, run=folder))
    return folder


@pytest.mark.parametrize("asked", ["pictures", "../here/pictures", "~/pictures", "{}/pictures"])
def test_the_root_holds_in_every_working_folder(tmp_path, monkeypatch, asked):
    here = tmp_path / "here"
    (here / "pictures").mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    run = _run(Path("runs") / "x", Path(asked.format(here))).absolute()
    monkeypatch.chdir(tmp_path)
    root = read_recipe(run).data.root
    assert root.is_absolute()
    assert root.samefile(here / "pictures")
    assert json.loads((run / "config.json").read_text())["data"]["root_from_run"] == (
        "../../pictures"
    )


def test_run_and_data_that_were_moved_together_are_found(tmp_path):
    (tmp_path / "old" / "pictures").mkdir(parents=True)
    _run(tmp_path / "old" / "runs" / "x", tmp_path / "old" / "pictures")
    shutil.move(tmp_path / "old", tmp_path / "new")
    run = tmp_path / "new" / "runs" / "x"
    assert read_recipe(run).data.root == tmp_path / "new" / "pictures"
    refuse_lost_data(run, read_recipe(run).data)
    # Where both are there, the data that it learnt from come first.
    (tmp_path / "old" / "pictures").mkdir(parents=True)
    assert read_recipe(run).data.root == tmp_path / "old" / "pictures"


def test_a_run_behind_a_link_finds_its_data(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "pictures").mkdir(parents=True)
    (tmp_path / "work" / "runs").symlink_to(tmp_path / "disk" / "deep")
    run = _run(tmp_path / "work" / "runs" / "x", tmp_path / "work" / "pictures")
    shutil.move(tmp_path / "work" / "pictures", tmp_path / "pictures")
    config = json.loads((run / "config.json").read_text())
    config["data"] |= {"root_from_run": "../../../pictures"}
    RunFolder(run).write_config(config)
    assert read_recipe(run).data.root == tmp_path / "pictures"


def test_data_that_are_gone_are_told_with_both_places(tmp_path, capsys):
    (tmp_path / "old" / "pictures").mkdir(parents=True)
    _run(tmp_path / "old" / "x", tmp_path / "old" / "pictures")
    shutil.move(tmp_path / "old" / "x", tmp_path / "x")
    shutil.rmtree(tmp_path / "old")
    words = f"not at {tmp_path}/old/pictures nor at {tmp_path}/pictures: put them back"
    recipe = read_recipe(tmp_path / "x")
    with pytest.raises(SettingError, match=words):
        refuse_lost_data(tmp_path / "x", recipe.data)
    with pytest.raises(SettingError, match=words):
        resume_run(tmp_path / "x", console=Console(quiet=True))
    assert main(["evaluate", str(tmp_path / "x")]) == 2
    assert "nor at" in " ".join(capsys.readouterr().err.split())
    # Other data are none of the run's, and what can be fetched need not be there.
    refuse_lost_data(tmp_path / "x", replace(recipe.data, root=tmp_path / "none"))
    refuse_lost_data(tmp_path / "x", CIFAR10Spec(root=recipe.data.root, download=True))


def test_a_run_on_a_relative_root_is_judged_and_resumed_from_elsewhere(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write_images(here / "images.npz", seed=9)
    monkeypatch.chdir(here)
    recipe = light_recipe(here)
    recipe = replace(recipe, data=replace(recipe.data, root=Path("images.npz")))
    run_recipe(recipe, "run", console=Console(quiet=True))
    monkeypatch.chdir(there)
    found = evaluate_run(here / "run", console=Console(quiet=True))
    assert found.path == here / "run"  # its own data, though named otherwise than they were
    shutil.move(here, tmp_path / "moved")
    run = tmp_path / "moved" / "run"
    assert evaluate_run(run, console=Console(quiet=True)).path == run
    (run / "encoder.safetensors").unlink()
    resume_run(run, console=Console(quiet=True))
    assert (run / "encoder.safetensors").is_file()
