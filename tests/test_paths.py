import os
from pathlib import Path

import numpy as np
import pytest

from nearfar.cli import main
from nearfar.cli.arguments import parse
from nearfar.cli.embed import EmbedArguments
from nearfar.cli.evaluate import EvaluateArguments
from nearfar.cli.report import ReportArguments
from nearfar.data.array_file import read_array
from nearfar.data.specs import FolderSpec, NpzSpec
from nearfar.encoders.saved import load_encoder
from nearfar.errors import NearfarError, SettingError
from nearfar.paths import user_path
from nearfar.run_folder.folder import RunFolder

LONG = "x" * 256


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("runs/x", "runs/x"),
        (".", "."),
        ("~", "{home}"),
        ("~/runs/x", "{home}/runs/x"),
        ("a~/b", "a~/b"),
        ("~root", os.path.expanduser("~root")),
        ("x" * 255, "x" * 255),
    ],
)
def test_home_folders_are_spelt_out(given, path, home):
    wanted = Path(path.format(home=home))
    assert user_path(given) == user_path(Path(given)) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "an empty name"),
        (LONG, "too long"),
        ("é" * 128, "too long"),  # bytes count
        ("/".join(["x" * 250] * 17), "too long"),
        ("~nobody-of-this-name/x", "no home folder"),
        ("a\0b", "no file can have such a name"),
        ("a\ud800b", "no file can have such a name"),
    ],
)
def test_what_no_file_can_be_called_is_refused(given, said):
    with pytest.raises(SettingError, match=said):
        user_path(given)


def test_every_option_of_a_command(home):
    found = parse(EmbedArguments, "embed", ["~/run", "--data=~/pictures", "--out", "~/x.npz"])
    # `--data` may be a source's name: what reads it spells the folder out.
    assert (found.encoder, found.data, found.out) == (home / "run", "~/pictures", home / "x.npz")
    of_folder = EvaluateArguments(Path("r"), data=FolderSpec())
    read = parse(EvaluateArguments, "evaluate", ["r", "--data.root=~/d"], of_folder)
    assert read.data.root == home / "d"
    assert parse(ReportArguments, "report", ["~/a", "b"]).runs == (home / "a", Path("b"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "run", "--out", ""], "--out: an empty name"),
        (["report", ""], "an empty name"),
        (["train", "--out="], "--out: an empty name"),
        (["train", f"--out={LONG}"], "--out: xxxxxxxx"),
        (["train", "simclr-pictures", "--data.root", ""], "--data.root: an empty name"),
        (["mi", "x.npy", "y.npy", "--out", LONG], "--out: xxxxxxxx"),
    ],
)
def test_in_one_line_with_the_name_of_the_option(words, said, capsys):
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"nearfar: {said}")
    assert told.count("\n") == 1


def test_paths_in_files_and_in_python(home):
    assert RunFolder("~/run").path == home / "run"
    np.save(home / "x.npy", np.arange(3.0))
    np.savez(home / "x.npz", a=np.arange(3.0), b=np.arange(4.0))
    assert len(read_array("~/x.npy", limit_mib=1, setting="")) == 3
    assert len(read_array("~/x.npz:b", limit_mib=1, setting="")) == 4
    NpzSpec(root=Path("~/x.npz")).require_root()
    with pytest.raises(NearfarError, match=str(home / "no")):
        load_encoder("~/no")


@pytest.mark.parametrize("root", [LONG, "a\0b", "a\ud800b"])
def test_a_root_in_config_json_that_no_file_can_have(root):
    from nearfar.recipes.config_json import recipe_from_json, recipe_to_json
    from nearfar.recipes.recipe import Recipe

    values = recipe_to_json(Recipe())
    values["data"] |= {"name": "folder", "root": root}
    with pytest.raises(SettingError):
        recipe_from_json(values).data.require_root()
