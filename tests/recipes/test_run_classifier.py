"""A method's own classifier: saved by its run, judged by it and again by `evaluate_run`."""

import json
import shutil

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from small_recipe import light_recipe, write_images
from torch import nn

from nearfar.data.specs import NpzSpec
from nearfar.encoders.saved_classifier import load_classifier, save_classifier
from nearfar.errors import NearfarError
from nearfar.recipes import run
from nearfar.recipes.run import evaluate_run, run_recipe


def classified(folder):
    records = json.loads((folder / "evaluation.json").read_text())
    return [r for r in records if r["protocol"] == "classifier"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run whose method has a classifier on the encoder's features."""
    folder = tmp_path_factory.mktemp("classifier")
    classifier = nn.Linear(16, 4)
    whole = run.assemble

    def with_classifier(*arguments):
        assembly = whole(*arguments)
        assembly.method.__dict__["classifier"] = classifier  # beside what is trained
        return assembly

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "assemble", with_classifier)
        run_recipe(light_recipe(folder), folder / "run", console=Console(quiet=True))
    return folder / "run", classifier


def test_it_is_saved_judged_and_shown(trained):
    folder, classifier = trained
    saved = load_classifier(folder, num_features=16)
    assert torch.equal(saved.weight, classifier.weight)
    assert [(r["metric"], r["features"]) for r in classified(folder)] == [
        ("top1", "encoder"),
        ("top5", "encoder"),
    ]
    assert "The method&#39;s own classifier" in (folder / "report.html").read_text()


def test_the_same_data_judge_it_again(trained):
    folder, _ = trained
    before = classified(folder)
    (folder / "evaluation.json").unlink()
    evaluate_run(folder, console=Console(quiet=True))
    assert classified(folder) == before


def test_other_data_leave_it_out_with_a_note(trained, tmp_path, capsys):
    folder, _ = trained
    other = NpzSpec(root=write_images(tmp_path / "other.npz", seed=9))
    target = evaluate_run(folder, data=other, console=Console(width=200))
    assert classified(target.path) == []
    assert "classifier is left out" in capsys.readouterr().out


def test_overwriting_a_run_takes_it_away(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    write_images(tmp_path / "images.npz")
    run_recipe(light_recipe(tmp_path), folder, overwrite=True, console=Console(quiet=True))
    assert not (folder / "classifier.safetensors").exists()
    assert classified(folder) == []


@pytest.mark.parametrize("what", ["a flipped bit", "another run's"])
def test_a_classifier_that_the_run_did_not_write_is_refused(trained, tmp_path, what):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    file = folder / "classifier.safetensors"
    content = bytearray(file.read_bytes())
    if what == "a flipped bit":
        content[-5] ^= 64
        file.write_bytes(content)
    else:
        other = nn.Linear(*reversed(load_file(file)["weight"].shape))
        nn.init.constant_(other.bias, 0.125)  # drawn ones may be the run's: both begin at one seed
        save_classifier(tmp_path, other)
        file.write_bytes((tmp_path / "classifier.safetensors").read_bytes())
    with pytest.raises(NearfarError, match=r"classifier\.safetensors is not as nearfar wrote it"):
        evaluate_run(folder, console=Console(quiet=True))
