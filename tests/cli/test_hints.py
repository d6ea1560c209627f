"""A word in the wrong place leads on to where it belongs."""

import shlex

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
        ("train pics", f"pics is no recipe but data of your own: nearfar train {FOLDER} --data.im"),
        ("train rows.parquet", "nearfar train simclr-wine --data parquet --data.root rows.p"),
        ("train arrays.npz", "nearfar train --data npz --data.root arrays.npz"),
        ("train no/pics", "unknown recipe 'no/pics'"),
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
        ("train --data", "--data names no data source: choose one of digits, fashion-mnist, "),
        ("train --data.root pics", "or say what your own data are: --data folder"),
        ("train --data folder --data.download", "folder has no such setting, it belongs to fash"),
    ],
)
def test_a_word_in_the_wrong_place_leads_on(words, said, capsys):
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_what_is_offered_for_a_folder_is_right(capsys):
    main(["train", "pics"])
    offered = capsys.readouterr().err.partition("nearfar train ")[2]
    taken = _read(shlex.split(offered))
    assert taken.data.name == "folder"
    assert str(taken.data.root) == "pics"


def test_the_method_of_the_recipe_may_be_named():
    assert _read(["byol-digits", "--method.name", "byol"]).method.name == "byol"
    assert _read(["--method.name", "simclr"]).method.name == "simclr"
