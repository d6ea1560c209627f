"""A disk that can only be read: every command that writes says so in one line, before its work."""

import os
import subprocess

import numpy as np
import pytest
from PIL import Image

from nearfar.cli import main
from nearfar.encoders.saved import save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder


def called(*program):
    return subprocess.run(program, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk with a run, pictures and arrays, read-only; a folder where none can be mounted."""
    place = tmp_path_factory.mktemp("disk")
    mounted = called("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place))
    if not mounted and os.geteuid() == 0:
        pytest.skip("no disk can be mounted here, and root may write in any folder")
    try:
        config = SmallResNetSpec(width=2)
        encoder = config.build((1, 8, 8))
        run = RunFolder.create(place / "run")
        save_encoder(run.path, encoder, config, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
        run.write_config(recipe_to_json(Recipe()))
        (place / "pictures").mkdir()
        (place / "empty").mkdir()
        for number in range(3):
            picture = Image.fromarray(np.full((8, 8), 90 * number, np.uint8))
            picture.save(place / "pictures" / f"{number}.png")
        np.save(place / "x.npy", np.random.default_rng(0).normal(size=(200, 1)))
        if mounted:
            assert called("mount", "-o", "remount,ro", str(place))
        else:
            assert called("chmod", "-R", "a-w", str(place))
        yield place
    finally:
        called("umount", str(place)) if mounted else called("chmod", "-R", "u+w", str(place))


def held(place):
    return {file: file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file()}


@pytest.mark.parametrize(
    "words",
    [
        "report DISK/run",
        "report DISK/run --out DISK/page.html",
        "report DISK/run --out DISK/new/page.html",
        "accept DISK/run config.json",
        "evaluate DISK/run",
        "evaluate DISK/run --out DISK/empty",
        "evaluate DISK/run --out DISK/new",
        "embed DISK/run --data DISK/pictures --out DISK/features.npz",
        "mi DISK/x.npy DISK/x.npy --out DISK/mi",
        "mi DISK/x.npy DISK/x.npy --out DISK/empty",
        "train simclr-digits --training.epochs 1 --out DISK/new",
        "train simclr-digits --training.epochs 1 --out DISK/empty",
        "train simclr-digits --training.epochs 1 --out DISK/run --overwrite",
        "train --resume DISK/run",
    ],
)
def test_what_cannot_be_written_is_said_in_one_line_before_the_work(
    disk, capfd, monkeypatch, words
):
    def worked(*_, **__):
        raise AssertionError("work was begun")

    monkeypatch.setattr("nearfar.uses.embeddable.of_folder", worked)
    monkeypatch.setattr("nearfar.information.estimate.estimate_mi", worked)
    monkeypatch.setattr("nearfar.recipes.judging.evaluate", worked)
    monkeypatch.setattr("nearfar.recipes.run.train", worked)
    before = held(disk)
    assert main(words.replace("DISK", str(disk)).split()) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "cannot write" in error or "cannot make" in error
    assert any(word in error for word in ("Read-only file system", "Permission denied"))
    assert held(disk) == before


def test_scores_of_a_run_that_can_only_be_read_are_sent_elsewhere(disk, capfd):
    assert main(["evaluate", str(disk / "run")]) == 1
    assert "; --out DIR writes elsewhere" in capfd.readouterr().err
    assert main(["evaluate", str(disk / "run"), "--out", str(disk / "empty")]) == 1
    assert "; choose another --out" in capfd.readouterr().err


def test_what_lies_on_it_can_be_used(disk, tmp_path, capfd):
    run, pictures = str(disk / "run"), str(disk / "pictures")
    assert main(["report", run, "--out", str(tmp_path / "page.html")]) == 0
    features = str(tmp_path / "features.npz")
    assert main(["embed", run, "--data", pictures, "--out", features]) == 0
    assert main(["neighbors", run, f"{pictures}/0.png", "--data", pictures]) == 0
    assert np.load(features)["features"].shape[0] == 3
