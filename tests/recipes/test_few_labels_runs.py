"""Runs on data of which most have no label."""

import functools
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from cut_run import goes_on_to_the_same_bits
from rich.console import Console
from small_recipe import light_recipe

from launched_ranks import end_of
from nearfar.data.sources import load_source
from nearfar.data.specs import NpzSpec, VectorsNpzSpec
from nearfar.encoders.specs import MLPSpec
from nearfar.errors import SettingError
from nearfar.methods.labelled_specs import SupConSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.console import print_header
from nearfar.recipes.own_choices import choose_recipe, larger_part, learnt_from
from nearfar.recipes.own_run import fitted_batch, hints_for
from nearfar.recipes.run import run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.views.specs import VectorViewsSpec

QUIET = Console(quiet=True)


@pytest.fixture
def recipe(tmp_path):
    """96 rows, of which 24 have a label; 20 of these are learnt from, 4 are for test."""
    rows = np.random.default_rng(0).normal(size=(96, 3)).astype(np.float32)
    labels = np.where(np.arange(96) < 24, np.arange(96) % 4, -1)
    np.savez(tmp_path / "rows.npz", vectors=rows, labels=labels)
    made = replace(
        light_recipe(tmp_path),
        data=VectorsNpzSpec(root=tmp_path / "rows.npz", held_out=0.2),
        views=VectorViewsSpec(),
        encoder=MLPSpec(width=8, depth=1),
    )
    return with_training(made, threads=1)


def with_training(recipe, **changes):
    return replace(recipe, training=replace(recipe.training, **changes))


def test_what_is_learnt_from_is_as_the_method_can(recipe, tmp_path):
    def learnt(changed):
        assembly = assemble(changed)
        told = Console(file=io.StringIO(), width=200)
        print_header(told, assembly, tmp_path)
        return len(assembly.part), assembly.part.labels is not None, told.file.getvalue()

    count, labelled, told = learnt(recipe)
    assert (count, labelled) == (16 + 72, False)
    assert "88 vectors of 3 features, 72 of them without labels (4 held out" in told
    small = with_training(recipe, batch_size=8)
    for changed in (
        replace(small, method=SupConSpec(projection_hidden=8, projection_dim=4)),
        with_training(small, false_positives=0.5),
        replace(small, data=replace(small.data, train_part="train")),
    ):
        count, labelled, told = learnt(changed)
        assert (count, labelled) == (16, True)
        assert "features, all with labels (4 held out" in told
    alone = replace(recipe, data=replace(recipe.data, train_part="unlabelled"))
    assert learnt(alone)[:2] == (72, False)
    with pytest.raises(SettingError, match="SupCon learns from labels, and the part of"):
        assemble(replace(alone, method=SupConSpec()))
    with pytest.raises(SettingError, match=r"set data\.train_part to train"):
        assemble(with_training(recipe, online_probe=True))


def test_numbers_tell_every_example_apart(recipe):
    assembly = assemble(recipe)
    source = load_source(recipe.data)
    for rows, labels, numbers in assembly.batches.epoch(0):
        assert labels is None
        for example, number in zip(rows, numbers.tolist(), strict=True):
            part, row = source.train, number
            if number >= len(part):
                part, row = source.unlabelled, number - len(part)
            assert torch.equal(example, part.examples[row])


def _numbers_of_each_batch(recipe, ranks):
    """What each rank is given in an epoch: whose examples, and that none brings labels."""
    for share in assemble(recipe).batches.epoch(0):
        assert share[1] is None
        numbers = torch.zeros(ranks.count, len(share[2]), dtype=torch.int64)
        numbers[ranks.rank] = share[2]
        dist.all_reduce(numbers)
        with (recipe.data.root.parent / f"seen-{ranks.rank}").open("a") as seen:
            seen.write(json.dumps(numbers.flatten().tolist()) + "\n")


def test_two_ranks_share_out_rows_with_and_without_labels(recipe, tmp_path):
    recipe = with_training(recipe, batch_size=22)
    end = end_of(functools.partial(_numbers_of_each_batch, recipe), tmp_path)
    assert end == ([0, 0], [])
    found = [sorted(json.loads(line)) for line in (tmp_path / "seen-0").read_text().splitlines()]
    alone = [sorted(numbers.tolist()) for _, _, numbers in assemble(recipe).batches.epoch(0)]
    assert found == alone
    assert (tmp_path / "seen-1").read_text() == (tmp_path / "seen-0").read_text()


@pytest.mark.slow
def test_a_cut_run_goes_on_exactly(recipe, tmp_path):
    goes_on_to_the_same_bits(recipe, tmp_path)


@pytest.mark.slow
def test_a_run_judges_by_labelled_examples(recipe, tmp_path):
    run = tmp_path / "run"
    page = run_recipe(recipe, run, console=QUIET).read_text()
    accuracies = [each for each in RunFolder(run).read_evaluation() if each["metric"] == "top1"]
    assert {each["n"] for each in accuracies} == {4}
    checks = [line for line in RunFolder(run).read_metrics() if line["kind"] == "knn"]
    assert [line["asked"] for line in checks] == ["held out"] * 2
    assert re.search("Learnt from .*: 88 vectors of 3 features, 72 of them without labels", page)


def test_choices_for_ones_own_data_count_what_has_no_label(tmp_path):
    file = tmp_path / "rows.npz"
    labels = np.full(600, -1)
    labels[:3] = 0, 1, 1
    images = np.random.default_rng(0).integers(0, 255, (600, 8, 8), dtype=np.uint8)
    np.savez(file, images=images, labels=labels)
    data = NpzSpec(root=file)
    source = load_source(data)
    assert (len(source.train), len(source.test), larger_part(source)) == (2, 1, source.unlabelled)
    recipe, choices = choose_recipe(data, source, "fast", gpu=False)
    assert (recipe.training.batch_size, recipe.data.held_out) == (256, 0.0)
    assert learnt_from(recipe.data, source, labelled=False) == 599
    assert learnt_from(recipe.data, source, labelled=True) == 2
    assert fitted_batch(recipe, source)[1] == []
    labelled = replace(recipe, method=SupConSpec())
    assert fitted_batch(labelled, source)[0].training.batch_size == 2
    assert not any("supcon" in hint for hint in hints_for(source, file, recipe))
    assert any("2 labelled examples" in choice.why for choice in choices)
