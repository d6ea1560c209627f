"""A word in the wrong place leads on to where it belongs."""

import pytest

from nearfar.cli import main
from nearfar.cli.train import _read


@pytest.fixture(autouse=True)
def data_at_hand(tmp_path, monkeypatch):
    (tmp_path / "pics" / "cats").mkdir(parents=True)
    (tmp_path / "rows.parquet").touch()
    (tmp_path / "arrays.npz").touch()
    monkeypatch.chdir(tmp_path)


FOLDER = "--data folder --data.root pics"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train no/pics", "no/pics: no such file or folder to train on, and no recipe"),
        ("train simclr-digit", "did you mean 'simclr-digits'?"),
        ("train simclr", "simclr is a method, not a recipe: nearfar train simclr-digits (or "),
        ("train moco", "moco is a method, not a recipe: nearfar train moco2-digits (or "),
        ("train nt_xent", "nt_xent is an objective, not a recipe: "),
        (
            "train cifar10",
            "cifar10 is a source of data, not a recipe: nearfar train simclr-cifar10",
        ),
        ("train wav", "wav is a source of data, not a recipe: nearfar train --data wav"),
        ("train --data pics", f"--data names a source: write {FOLDER}"),
        ("train simclr-fashion --data=pics", f"--data names a source: write {FOLDER}"),
        ("train --data cifar11", "unknown data source 'cifar11': did you mean 'cifar10"),
        ("train --data", "--data names no data source: choose one of digits, mnist-5k, "),
        ("train --data.root pics", "or say what your own data are: --data folder"),
        ("train --data folder --data.download", "folder has no such setting, it belongs to fash"),
    ],
)
def test_a_word_in_the_wrong_place_leads_on(words, said, capsys):
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_path_is_no_recipe_and_is_looked_into(capsys):
    assert main(["train", "pics"]) == 1
    assert "pics: no picture, sound, text or Parquet file in it" in capsys.readouterr().err
    assert main(["train", "arrays.npz"]) == 1
    assert "arrays.npz: not a readable .npz file" in capsys.readouterr().err


def test_the_method_of_the_recipe_may_be_named():
    assert _read(["byol-digits", "--method.name", "byol"]).method.name == "byol"
    assert _read(["--method.name", "simclr"]).method.name == "simclr"
