"""Runs on many files, some of them unreadable: the same bits whoever finds them, and an account."""

import functools
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cut_run import goes_on_to_the_same_bits
from PIL import Image
from rich.console import Console
from small_recipe import light_recipe

from launched_ranks import end_of
from nearfar.data import late_checks
from nearfar.data.paired_specs import CaptionedFolderSpec
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.errors import NearfarError
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.recipes.run import evaluate_run, resume_run, run_recipe
from nearfar.recipes.transfer import PROTOCOLS, transfer
from nearfar.recipes.unreadable import UnreadableFiles
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ranks import Ranks
from nearfar.uses.embed import features_of
from nearfar.uses.embeddable import of_source
from nearfar.views.specs import DigitsViewsSpec
from shards import SPECS
from shards import write as write_shards

LOST = ("a/03.png", "b/11.png", "b/12.png", "b/30.png")


@pytest.fixture(autouse=True)
def many(monkeypatch):
    monkeypatch.setattr(late_checks, "AT_ONCE", 10)


def write(root):
    draws = np.random.default_rng(0)
    for kind, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for number in range(40):
            pixels = draws.integers(100 * kind, 100 * kind + 120, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02d}.png")
    return root


def spoil(root, names=LOST):
    for name in names:
        (root / name).write_bytes((root / name).read_bytes()[:-40])
    return root


def recipe_of(root, workers=0, **changes):
    changes = {"max_corrupt": 0.1} | changes
    data = FolderSpec(root=root, in_memory_mib=0, workers=workers, **changes)
    recipe = light_recipe(root.parent, data=data)
    left_out = (*recipe.evaluation.leave_out, "map", "geometry", "gallery")
    return replace(
        recipe,
        training=replace(recipe.training, batch_size=16),
        evaluation=replace(recipe.evaluation, leave_out=left_out, baselines=False),
    )


def with_texts(root):
    """A text beside each image that tells its name."""
    for path in root.rglob("*.png"):
        path.with_suffix(".txt").write_text(f"{path.parent.name} number {path.stem}")
    return root


def recipe_of_pairs(root, workers=0):
    """CLIP on images of more bytes than the memory that is allowed."""
    data = CaptionedFolderSpec(
        root=root, in_memory_mib=1, image_size=128, workers=workers, max_corrupt=0.1, held_out=0.0
    )
    text = TextBagSpec(width=8, buckets=64, dropout=0.0)
    return replace(
        recipe_of(root),
        data=data,
        views=DigitsViewsSpec(count=1, size=8),
        method=CLIPSpec(projection_dim=4, second_encoder=text),
    )


def weights(run):
    return (run / "encoder.safetensors").read_bytes()


def account(run):
    return [each["file"] for each in json.loads((run / "unreadable.json").read_text())]


def repaired(root, copy):
    """The folder as it is read: in the place of each lost file lies what stands in for it."""
    source = load_source(recipe_of(root).data)
    shutil.copytree(root, copy)
    for part in (source.train, source.test):
        for place, name in enumerate(part.names):
            if name in LOST:
                Image.fromarray(part.examples[place][0].numpy()).save(copy / name)
    return copy


@pytest.mark.slow
def test_a_run_tells_what_it_could_not_read(tmp_path):
    root = spoil(write(tmp_path / "pictures"))
    console = Console(file=io.StringIO(), width=1000)
    run_recipe(recipe_of(root, workers=2), tmp_path / "run", console=console)
    assert account(tmp_path / "run") == list(LOST)
    assert "unreadable.json" in json.loads((tmp_path / "run" / "run.json").read_text())["files"]
    told = "4 of 80 images cannot be read, and another of the same class stands in for each: a/03"
    assert told in console.file.getvalue()
    assert told in " ".join(RunFolder(tmp_path / "run").read_evaluation_arrays()["notes"])
    # Nothing of the account is lost by judging again.
    evaluate_run(tmp_path / "run", console=Console(quiet=True))
    assert account(tmp_path / "run") == list(LOST)


@pytest.mark.slow
def test_the_bits_are_those_of_a_folder_that_holds_the_stand_ins(tmp_path):
    root = spoil(write(tmp_path / "pictures"))
    whole = repaired(root, tmp_path / "mended")
    quiet = Console(quiet=True)
    for name, folder, workers in (("0", root, 0), ("2", root, 2), ("whole", whole, 0)):
        recipe = recipe_of(folder, workers, held_out=0.0)
        run_recipe(recipe, tmp_path / name, console=quiet, judge=False)
    assert weights(tmp_path / "0") == weights(tmp_path / "2") == weights(tmp_path / "whole")
    assert not (tmp_path / "whole" / "unreadable.json").exists()


@pytest.mark.slow
def test_the_bits_of_pairs_are_those_of_a_folder_that_holds_the_pairs_that_stand_in(tmp_path):
    root, quiet = with_texts(spoil(write(tmp_path / "pictures"))), Console(quiet=True)
    copy = shutil.copytree(root, tmp_path / "copy")
    part = load_source(recipe_of_pairs(root).data).train
    for row, name in enumerate(part.names):
        other = part.examples.given(row)[1]
        for suffix in (".png", ".txt") if other != row else ():
            path = root / part.names[other]
            shutil.copy(path.with_suffix(suffix), (copy / name).with_suffix(suffix))
    for name, folder, workers in (("lost", root, 2), ("mended", copy, 0)):
        recipe = recipe_of_pairs(folder, workers)
        run_recipe(recipe, tmp_path / name, console=quiet, judge=False)
    assert weights(tmp_path / "lost") == weights(tmp_path / "mended")
    second = "second_encoder.safetensors"
    assert (tmp_path / "lost" / second).read_bytes() == (tmp_path / "mended" / second).read_bytes()
    assert account(tmp_path / "lost")
    goes_on_to_the_same_bits(recipe_of_pairs(root, 2), tmp_path)
    evaluate_run(tmp_path / "lost", console=quiet)
    assert account(tmp_path / "lost") == list(LOST)


@pytest.mark.slow
def test_a_run_that_is_cut_goes_on_to_the_same_bits(tmp_path):
    goes_on_to_the_same_bits(recipe_of(spoil(write(tmp_path / "pictures")), 2), tmp_path)


def test_what_was_found_before_a_kill_counts_after_it(tmp_path):
    source = load_source(recipe_of(spoil(write(tmp_path / "pictures"))).data)
    folder, told = RunFolder.create(tmp_path / "run"), []
    first = UnreadableFiles(source.faults, folder, Ranks(), told.append)
    assert first.settle() is None
    assert not folder.unreadable.exists()
    for part in (source.train, source.test):
        [part.examples[row] for row in range(len(part))]
    assert first.settle() is None
    again = load_source(recipe_of(tmp_path / "pictures").data)
    UnreadableFiles(again.faults, folder, Ranks(), told.append)
    assert again.faults.all() == source.faults.all()
    assert len(told) == 1
    folder.unreadable.write_text('{"file": 1}')
    with pytest.raises(NearfarError):
        folder.read_unreadable()


def test_too_many_end_a_run_that_is_saved_and_goes_on_when_they_are_allowed(tmp_path):
    root = spoil(write(tmp_path / "pictures"), [f"a/{number:02d}.png" for number in range(9)])
    quiet = Console(quiet=True)
    with pytest.raises(NearfarError, match=r"of 80 images cannot be read.*all is saved") as error:
        run_recipe(recipe_of(root, max_corrupt=0.05), tmp_path / "run", console=quiet)
    assert "\n" not in str(error.value)
    run = RunFolder(tmp_path / "run")
    steps = [each["step"] for each in run.read_metrics() if each["kind"] == "step"]
    assert steps == [1, 2, 3]
    assert 4 < len(account(run.path)) <= 9
    config = json.loads(run.config.read_text())
    config["data"]["max_corrupt"] = 0.2
    run.write_config(config)
    resume_run(tmp_path / "run", console=quiet, judge=False)
    steps = [each["step"] for each in run.read_metrics() if each["kind"] == "step"]
    assert steps == [1, 2, 3, 4, 5, 6]


def run_on_a_rank(root: Path, pairs: bool, ranks: Ranks) -> None:
    late_checks.AT_ONCE = 10
    recipe = (recipe_of_pairs if pairs else recipe_of)(root)
    run_recipe(recipe, root.parent / "run", console=Console(quiet=True), judge=False)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [False, True])
def test_two_ranks_write_one_account(tmp_path, pairs):
    root = with_texts(spoil(write(tmp_path / "pictures")))
    light_recipe(tmp_path)
    assert end_of(functools.partial(run_on_a_rank, root, pairs), tmp_path) == ([0, 0], [])
    recipe = (recipe_of_pairs if pairs else recipe_of)(root)
    run_recipe(recipe, tmp_path / "alone", console=Console(quiet=True), judge=False)
    assert account(tmp_path / "run") == account(tmp_path / "alone")
    assert account(tmp_path / "run")


def test_features_are_those_of_files_that_can_be_read_alone(tmp_path):
    root = spoil(write(tmp_path / "pictures"))
    recipe = recipe_of(root)
    recipe = replace(recipe, training=replace(recipe.training, epochs=1))
    run_recipe(recipe, tmp_path / "run", console=Console(quiet=True), judge=False)
    encoder, source = load_encoder(tmp_path / "run"), load_source(recipe.data)
    found, notes = features_of(encoder, of_source(source, {}))
    assert len(found.features) == 76
    assert not set(LOST) & set(found.names)
    assert "skipped 4 of 80 images: a/03.png (image file is truncated" in " ".join(notes)
    row = found.names.index("b/13.png")
    with Image.open(root / "b/13.png") as image:
        pixels = torch.from_numpy(np.array(image))[None, None]
    torch.testing.assert_close(found.features[row][None], encoder(pixels).detach())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tar", "parquet", "arrow"])
def test_a_run_on_larger_files_goes_on_to_the_same_bits_and_only_on_the_same_ones(tmp_path, kind):
    root = write_shards(kind, tmp_path / "data", lost=(3, 17))
    data = SPECS[kind](root=root, in_memory_mib=0, workers=2, max_corrupt=0.2, test_fraction=0.0)
    recipe = replace(recipe_of(root), data=replace(data, image_size=8, held_out=0.0))
    recipe = replace(recipe, training=replace(recipe.training, batch_size=8))
    goes_on_to_the_same_bits(recipe, tmp_path)
    quiet = Console(quiet=True)
    run_recipe(recipe, tmp_path / "run", console=quiet, judge=False)
    write_shards(kind, root, lost=(3, 16))
    with pytest.raises(NearfarError, match=r"cannot go on from .*data \(content\)") as error:
        resume_run(tmp_path / "run", console=quiet, judge=False)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_transfer_tells_what_it_could_not_read(tmp_path):
    run_recipe(light_recipe(tmp_path), tmp_path / "run", console=Console(quiet=True), judge=False)
    root = spoil(write(tmp_path / "pictures"))
    spec = FolderSpec(root=root, in_memory_mib=0, max_corrupt=0.1)
    left_out = [name for name in PROTOCOLS if name != "linear"]
    quiet = Console(quiet=True)
    table = transfer(
        [tmp_path / "run"], [spec], tmp_path / "out", leave_out=left_out, console=quiet
    )
    assert "4 of 80 images cannot be read, and another" in " ".join(table.notes)
