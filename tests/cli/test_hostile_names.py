"""Names from outside that would steer a terminal: none does, whatever command prints them."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from nearfar.cli import main
from nearfar.encoders.saved import save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder

EVIL = "a\x1b[2J\x1b]0;t\x07\u202eb\x9bc[red]\nd"
SEEN = "\\x1b[2J"
STEERING = set(map(chr, [*range(10), *range(11, 32), *range(127, 160), 0x202E]))


@pytest.fixture
def run(tmp_path):
    """A folder that holds an encoder of two by two pixels, a configuration and scores."""
    folder = RunFolder.create(tmp_path / "run")
    config = SmallResNetSpec(width=2)
    encoder = config.build((1, 8, 8))
    save_encoder(folder.path, encoder, config, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    folder.write_config(recipe_to_json(Recipe()))
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / f"pictures {EVIL}"
    for number in range(3):
        file = folder / f"class {EVIL}" / f"{number} {EVIL}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 90 * number, np.uint8)).save(file)
    return folder


def told(capfd, *words, fails=True):
    """What a command says, all of it, checked for what a terminal would obey."""
    capfd.readouterr()
    code = main([str(word) for word in words])
    assert (code != 0) is fails
    out, error = capfd.readouterr()
    assert not STEERING & set(out + error)
    if fails:
        assert error.count("\n") == 1
    return out + error


def test_names_of_files_as_answers_and_as_notes(run, pictures, tmp_path, capfd):
    query = next(pictures.rglob("0*.png"))
    said = told(capfd, "neighbors", run.path, query, "--data", pictures, fails=False)
    assert said.replace("\n", "").count(SEEN) == 4  # two images, each in its folder
    (query.parent / f"broken {EVIL}.png").write_text("no image")
    words = ["embed", run.path, "--data", pictures, "--max-corrupt", "0.5", "--out"]
    said = told(capfd, *words, tmp_path / f"{EVIL}.npz", fails=False)
    assert "broken a" in said.replace("\n", "")
    assert SEEN in said
    names = np.load(tmp_path / f"{EVIL}.npz")["names"]
    assert sum(EVIL in name for name in names) == 3  # files keep the exact text


def test_names_of_files_and_words_in_errors(run, pictures, tmp_path, capfd):
    wrong = pictures / f"no {EVIL}.png"
    assert SEEN in told(capfd, "neighbors", run.path, wrong, "--data", pictures)
    wrong.write_text("no image")
    assert SEEN in told(capfd, "neighbors", run.path, wrong, "--data", pictures)
    assert SEEN in told(capfd, "embed", run.path, "--data", pictures, "--out", tmp_path / "x.npz")
    assert SEEN in told(capfd, "embed", tmp_path / EVIL, "--data", ".", "--out", "x.npz")
    assert SEEN in told(capfd, "report", tmp_path / EVIL)
    assert SEEN in told(capfd, "train", "--data.name", "folder", "--data.root", tmp_path / EVIL)
    for words in (
        [EVIL],
        ["train", EVIL],
        ["train", f"--{EVIL}"],
        ["mi", "x", "z", "--seed", EVIL],
    ):
        assert "\\x1b" in told(capfd, *words)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("recipe",), 3),
        (("data", "root"), EVIL),
        (("data", EVIL), 3),
        (("data", "name"), EVIL),
        (("encoder", "name"), EVIL),
        (("method", "name"), EVIL),
        (("views", "preset"), EVIL),
        (("training", "epochs"), EVIL),
        (("training", "device"), EVIL),
    ],
)
def test_values_of_config_json(run, where, value, capfd):
    config = run.read_config()
    inner = config
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    run.config.write_text(json.dumps(config))
    told(capfd, "train", "--resume", run.path)
    run.manifest.accept([run.config.name])
    told(capfd, "train", "--resume", run.path)


@pytest.mark.parametrize("name", ["evaluation.json", "environment.json", "metrics.jsonl"])
def test_other_files_of_a_run(run, name, capfd):
    run.write_environment({"command": EVIL, "started": EVIL, "seconds": 1})
    run.write_evaluation([])
    run.append_metrics({"kind": "step", "step": 1, "epoch": 1, "loss": 1.0})
    (run.path / name).write_text(f"{{{EVIL}\n")
    told(capfd, "report", run.path)
    run.manifest.accept([name])
    told(capfd, "report", run.path)


def test_members_of_an_npz_and_columns_of_a_table(tmp_path, capfd):
    np.savez(tmp_path / "x.npz", **{f"one {EVIL}": np.zeros(9), f"two {EVIL}": np.zeros(9)})
    assert SEEN in told(capfd, "mi", tmp_path / "x.npz", tmp_path / "x.npz")
    assert SEEN in told(capfd, "mi", f"{tmp_path}/x.npz:{EVIL}", tmp_path / "x.npz")
    told(capfd, "train", "simclr-wine", "--data.name", "npz", "--data.root", tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "broken.npz", "w") as file:
        file.writestr(f"{EVIL}.npy", b"no array")
    told(capfd, "mi", tmp_path / "broken.npz", tmp_path / "broken.npz")
    table = pa.table({f"col {EVIL}": ["a", "b"], f"other {EVIL}": [[1.0], [2.0, 3.0]]})
    parquet.write_table(table, tmp_path / "x.parquet")
    told(capfd, "mi", tmp_path / "x.parquet", tmp_path / "x.parquet")
    words = ["--data.name", "parquet", "--data.root", tmp_path / "x.parquet"]
    told(capfd, "train", "simclr-wine", *words)
    told(capfd, "train", "simclr-wine", *words, "--data.label-column", EVIL)


@pytest.mark.parametrize("batch", [{EVIL: 1}, {EVIL.encode(): EVIL}, EVIL, os.getcwd])
def test_keys_of_a_cifar_file(tmp_path, batch, capfd):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{each}" for each in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    told(capfd, "train", "simclr-cifar10", "--data.root", tmp_path)


def test_the_description_of_an_encoder(run, capfd):
    described = json.loads(run.encoder_settings.read_text())
    for key in described:
        run.encoder_settings.write_text(json.dumps(described | {key: EVIL}))
        told(capfd, "embed", run.path, "--data", ".", "--out", "x.npz")
    run.encoder_settings.write_text(json.dumps(described | {EVIL: EVIL}))
    torch.save({}, run.encoder_weights)
    told(capfd, "embed", run.path, "--data", ".", "--out", "x.npz")


def test_bytes_of_a_name_that_are_no_text(run, tmp_path, capfd):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "query.png")
    Image.new("L", (8, 8), 9).save(tmp_path / "another.png")
    os.link(tmp_path / "another.png", os.fsencode(folder) + b"/\xff.png")
    query = Path(tmp_path / "query.png")
    said = told(capfd, "neighbors", run.path, query, "--data", folder, fails=False)
    assert "\\xff.png" in said
    said = told(
        capfd, "embed", run.path, "--data", folder, "--out", tmp_path / "v.npz", fails=False
    )
    assert np.load(tmp_path / "v.npz")["names"].tolist() == ["\\xff.png"]
