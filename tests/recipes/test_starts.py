"""Runs that begin with weights: recorded, shown, resumed, on ranks, judged beside their start."""

import functools
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from small_recipe import small_recipe, write_images

from launched_ranks import end_of
from nearfar.data.specs import NpzSpec
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.experiment import experiment_of
from nearfar.recipes.run import evaluate_run, resume_run, run_recipe
from nearfar.recipes.start import start_again
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ranks import Ranks


def recipe_from(folder: Path, start: Path | str | None, **changes):
    """One epoch, judged by kNN alone."""
    recipe = small_recipe(folder, encoder=SmallResNetSpec(width=4, start=start and str(start)))
    knn = EvaluationSpec.by(KNNSpec(votes=((5, 0.1),)))
    knn = replace(knn, leave_out=("few_labels", "linear_probe", "map", "gallery"))
    training = replace(recipe.training, epochs=1, knn_every=0)
    return replace(recipe, training=training, evaluation=knn, **changes)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run to begin with."""
    folder = tmp_path_factory.mktemp("first")
    run_recipe(recipe_from(folder, None), folder / "run", console=quiet())
    return folder / "run"


@pytest.fixture(scope="module")
def second(first, tmp_path_factory):
    """A run that began with the first one, on other images, and what was printed."""
    folder = tmp_path_factory.mktemp("second")
    write_images(folder / "images.npz", seed=3)
    console = quiet()
    run_recipe(recipe_from(folder, first, seed=1), folder / "run", console=console)
    return folder / "run", console.file.getvalue()


def test_a_run_begins_with_the_weights_and_the_normalisation_of_its_start(first, tmp_path):
    write_images(tmp_path / "images.npz", seed=3)
    assembly = assemble(recipe_from(tmp_path, first))
    begun, held = assembly.method.encoder.state_dict(), load_file(first / "encoder.safetensors")
    assert all(torch.equal(begun[name], held[name]) for name in held)
    origin = load_encoder(first)
    assert assembly.format.mean == tuple(origin.mean.tolist())
    plain = assemble(recipe_from(tmp_path, None))
    assert plain.format.mean != assembly.format.mean
    # The head's weights are those that they would be at random.
    drawn = plain.method.projection.state_dict()
    assert all(
        torch.equal(value, drawn[name])
        for name, value in assembly.method.projection.state_dict().items()
    )


def test_what_it_began_with_is_recorded_and_shown(first, second):
    run, printed = second
    held = json.loads((run / "start.json").read_text())
    assert held["title"] == f"the encoder of the run {first} (small-resnet)"
    assert held["share"] == 1
    assert held["random"] == held["left_out"] == []
    assert json.loads((run / "config.json").read_text())["encoder"]["start"] == str(first)
    page = (run / "report.html").read_text()
    for told in (printed, page):
        assert held["title"] in told
        assert "90 tensors, 100.0 % of the weights" in told
    assert torch.equal(load_encoder(run).mean, load_encoder(first).mean)


def test_it_is_judged_beside_its_start_and_random_weights(second):
    run, printed = second
    knn = {
        record["features"]: record["value"]
        for record in RunFolder(run).read_evaluation()
        if (record["protocol"], record["metric"]) == ("knn", "top1")
    }
    assert knn.keys() == {"encoder", "start", "untrained", "raw"}
    assert "the weights it began with" in printed
    assert "the same network at random weights" in printed
    assert "before training" not in printed.split("kNN k")[1].split("Two views")[0]
    assert "Its start" in (run / "report.html").read_text()


def test_the_start_is_judged_as_it_was(first, tmp_path):
    """A frozen backbone is its start to the bit, so both have one figure."""
    recipe = recipe_from(tmp_path, first, adapt=AdaptSpec(freeze="backbone"))
    run_recipe(recipe, tmp_path / "run", console=quiet())
    begun, ended = (load_file(run / "encoder.safetensors") for run in (first, tmp_path / "run"))
    assert all(torch.equal(begun[name], ended[name]) for name in begun)
    records = RunFolder(tmp_path / "run").read_evaluation()
    figures = {
        kind: [(r["protocol"], r["metric"], r["value"]) for r in records if r["features"] == kind]
        for kind in ("encoder", "start")
    }
    assert figures["encoder"] == figures["start"] != []


def test_a_run_goes_on_and_is_judged_without_its_start(first, tmp_path):
    start = Path(shutil.copytree(first, tmp_path / "start"))
    recipe = recipe_from(tmp_path, start)
    run_recipe(recipe, tmp_path / "whole", console=quiet())
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(start)
    console = quiet()
    resume_run(tmp_path / "cut", console=console)
    assert "is trained already" in console.file.getvalue()
    evaluate_run(tmp_path / "cut", console=console)
    assert "the weights that it began with are not judged beside it" in console.file.getvalue()
    records = RunFolder(tmp_path / "cut").read_evaluation()
    judged = {record["features"] for record in records}
    assert {"encoder", "untrained", "raw"} <= judged
    assert "start" not in judged
    assert torch.equal(load_encoder(tmp_path / "cut").mean, load_encoder(tmp_path / "whole").mean)


def test_a_start_that_changed_before_the_first_checkpoint_is_refused(first, tmp_path):
    file = tmp_path / "weights.safetensors"
    state = load_file(first / "encoder.safetensors")
    save_file(state, file)
    recipe = recipe_from(tmp_path, file)
    run = RunFolder.create(tmp_path / "run")
    run.write_start(assemble(recipe).start.as_json())
    assert start_again(recipe.encoder, recipe.adapt, run, Ranks()).state is not None
    # What a kill leaves that comes before the first checkpoint's JSON is written.
    run.checkpoints.mkdir()
    (run.checkpoints / "step-00000005.safetensors").write_bytes(b"tensors")
    assert start_again(recipe.encoder, recipe.adapt, run, Ranks()).state is not None
    save_file({name: value + 1 for name, value in state.items()}, file)
    with pytest.raises(NearfarError, match="no longer those of"):
        start_again(recipe.encoder, recipe.adapt, run, Ranks())


def test_another_start_is_another_run_and_the_same_elsewhere_is_not(first, tmp_path):
    state = load_file(first / "encoder.safetensors")
    for name, values in (("a", state), ("b", state), ("c", {n: v * 2 for n, v in state.items()})):
        save_file(values, tmp_path / f"{name}.safetensors")
    made = [
        experiment_of(assemble(recipe_from(tmp_path, tmp_path / f"{name}.safetensors")))
        for name in "abc"
    ]
    assert made[0] == made[1] != made[2]
    assert made[0].keys() - experiment_of(assemble(recipe_from(tmp_path, None))).keys()


def begin_on_ranks(folder: Path, start: Path, ranks: Ranks) -> None:
    """Only the first rank has the start's file."""
    own = folder / "weights.safetensors"
    if ranks.first:
        shutil.copy(start / "encoder.safetensors", own)
    recipe = recipe_from(folder, own)
    recipe = replace(recipe, training=replace(recipe.training, batch_size=22))
    assembly = assemble(recipe)
    assert (assembly.start.state is not None) == ranks.first
    ranks.begin_alike(assembly.method)
    held = load_file(start / "encoder.safetensors")
    begun = assembly.method.encoder.state_dict()
    assert all(torch.equal(begun[name], held[name]) for name in held)
    same = ranks.gather(experiment_of(assembly))
    assert same[0] == same[1]


def test_the_first_ranks_weights_reach_all(first, tmp_path):
    small_recipe(tmp_path)
    assert end_of(functools.partial(begin_on_ranks, tmp_path, first), tmp_path) == ([0, 0], [])


def test_images_of_other_channels_begin_with_an_adapted_layer(first, tmp_path):
    file = write_images(tmp_path / "colour.npz", channels=3)
    assembly = assemble(recipe_from(tmp_path, first, data=NpzSpec(root=file)))
    assert assembly.format.mean == 3 * tuple(load_encoder(first).mean.tolist())
    assert "from 1 to 3 channels" in assembly.start.lines[0]
