"""`nearfar train --config FILE` and `--print-config`: a recipe written down, and read again."""

import json
import sys

import pytest
import yaml
from tests.recipes.small_recipe import light_recipe

from nearfar.cli import train
from nearfar.cli.app import main
from nearfar.errors import SettingError
from nearfar.recipes.config_file import config_text, recipe_in
from nearfar.recipes.names import RECIPES
from nearfar.recipes.run import run_recipe


@pytest.mark.parametrize("name", ["simclr-digits", "paco-fashion-lt", "cpc-vowels", "simclr-wine"])
def test_what_is_printed_is_read_again_whole(name, tmp_path, capsys):
    assert main(["train", name, "--seed", "3", "--print-config"]) == 0
    printed = capsys.readouterr().out
    for ending, text in (("json", printed), ("yaml", yaml.safe_dump(json.loads(printed)))):
        file = tmp_path / f"config.{ending}"
        file.write_text(text)
        read = recipe_in(file)
        assert (read.recipe, read.seed) == (name, 3)
        assert config_text(read) == printed.strip()


def test_what_a_file_leaves_out_is_its_recipes(tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text("recipe: byol-fashion\nseed: 4\ntraining:\n  epochs: 3\n")
    recipe, base = recipe_in(file), RECIPES["byol-fashion"]()
    assert (recipe.seed, recipe.training.epochs) == (4, 3)
    assert recipe.training.batch_size == base.training.batch_size
    assert recipe.method == base.method
    # Another choice has its own defaults, not those of the one that the recipe had.
    file.write_text("recipe: byol-fashion\nmethod: {name: simclr, objective: {name: vicreg}}\n")
    method = recipe_in(file).method
    assert (method.name, method.objective.name) == ("simclr", "vicreg")
    file.write_text("seed: 5\n")
    assert recipe_in(file).recipe == "custom"


def test_a_run_is_repeated_from_its_own_file_and_options_change_it(tmp_path, monkeypatch, capsys):
    run_recipe(light_recipe(tmp_path), tmp_path / "first")
    file = tmp_path / "first" / "config.json"
    capsys.readouterr()
    monkeypatch.chdir(tmp_path.parent)
    assert main(["train", "--config", str(file), "--training.batch-size=9", "--print-config"]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads(file.read_text())
    assert printed["training"].pop("batch_size") == 9
    assert kept["training"].pop("batch_size") != 9
    kept["data"].pop("root_from_run")
    assert printed == kept
    (tmp_path / "first").rename(tmp_path / "moved")
    assert recipe_in(tmp_path / "moved" / "config.json").data.place.exists()


def test_a_file_is_trained_by(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(
        "nearfar.recipes.run.run_recipe", lambda recipe, out, **_: trained.append((recipe, out))
    )
    file = tmp_path / "mine.json"
    file.write_text('{"recipe": "simclr-digits", "seed": 7}')
    train.run([f"--config={file}", "--out", str(tmp_path / "run"), "--seed", "8"])
    assert [(recipe.seed, recipe.recipe, out) for recipe, out in trained] == [
        (8, "simclr-digits", tmp_path / "run")
    ]


def test_json_is_read_without_a_reader_of_yaml(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    file = tmp_path / "a.json"
    file.write_text('{"seed": 7}')
    assert recipe_in(file).seed == 7


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", r"a\.json is no JSON: "),
        ("a.yaml", "a: [1", r"a\.yaml is no YAML: "),
        ("a.yaml", "!!python/object/apply:os.system ['true']", r"a\.yaml is no YAML: "),
        ("a.yaml", "3", r"holds no settings by name, such as seed: 3"),
        ("a.yaml", "3: 4", r"holds no settings by name"),
        ("a.json", "[" * 100_000, r"a\.json is no JSON: "),
        ("a.yaml", "training: {epocs: 3}", r"a\.yaml: .*training\.epocs.*training\.epochs"),
        ("a.yaml", "seeds: 3", r"a\.yaml: .*seeds.*seed"),
        ("a.yaml", "seed: many", r"a\.yaml: seed is 'many'"),
        ("a.yaml", "data: 3", r"a\.yaml: data: its settings must be"),
        ("a.yaml", "format: 99", r"format 99"),
        ("a.yaml", "\udcff", r"a\.yaml is no YAML: "),
    ],
)
def test_a_file_that_cannot_be_is_one_line(tmp_path, name, text, said):
    file = tmp_path / name
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingError, match=said) as raised:
        recipe_in(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--config", "--config needs FILE"),
        ("--config no.yaml", "no.yaml: No such file or directory"),
        ("--config .", "--config .: Is a directory"),
        ("simclr-wine --config a.yaml", "--config takes the recipe of a.yaml: leave the recipe"),
        ("--config a.yaml --from run", "--from takes the settings of run: leave --config out"),
        ("--resume run --config a.yaml", "leave every other option out"),
        ("--resume run --print-config", "--print-config is of a new run"),
    ],
)
def test_words_beside_a_file_that_cannot_be(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("seed: 3\n")
    assert main(["train", *words.split()]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
