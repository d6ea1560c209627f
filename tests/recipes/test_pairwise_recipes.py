"""The recipes of pairwise objectives train, on small files of their data's format."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_recipe import small_recipe
from tests.data.source_files import write_cifar, write_fashion, write_stl10

from nearfar.errors import SettingError
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.names import recipe_named
from nearfar.run_folder.folder import RunFolder
from nearfar.training.loop import train
from nearfar.training.schedules import CosineSpec

FASHION = {
    "simclr-fashion-short": ("nt_xent", 2),
    "debiased-neg-fashion": ("debiased_neg", 2),
    "hard-negatives-fashion": ("debiased_neg", 2),
    "debiased-pos-fashion": ("debiased_pos", 2),
    "debiased-pos-fashion-grouping": ("debiased_pos", 3),
    "debiased-pos-fashion-combination": ("debiased_pos", 3),
    "decoupled-fashion": ("decoupled", 2),
    "align-uniform-fashion": ("align_uniform", 2),
    "vicreg-fashion": ("vicreg", 2),
    "barlow-fashion": ("barlow_twins", 2),
}


def trained(recipe, folder, root):
    """The recipe's first epoch; the records of its steps."""
    recipe = replace(
        recipe,
        data=replace(recipe.data, root=root),
        training=replace(
            recipe.training,
            epochs=1,
            batch_size=16,
            schedule=CosineSpec(warmup_share=0.0),
            device="cpu",
            knn_every=0,
        ),
    )
    run = assemble(recipe)
    run_folder = RunFolder.create(folder)
    train(run.method, run.views, run.batches, recipe.training, run_folder, seed=recipe.seed)
    steps = [record for record in run_folder.read_metrics() if record["kind"] == "step"]
    assert len(steps) == run.batches.steps_per_epoch >= 2
    assert all(math.isfinite(record["loss"]) and record["gradient_norm"] > 0 for record in steps)


@pytest.mark.parametrize("name", FASHION)
def test_recipes_on_fashion_mnist_differ_in_the_method_alone(name, tmp_path):
    recipe, plain = recipe_named(name), recipe_named("simclr-fashion-short")
    assert (recipe.method.objective.name, recipe.views.count) == FASHION[name]
    same = replace(recipe, recipe=plain.recipe, method=plain.method, views=plain.views)
    assert same == plain
    assert replace(recipe.views, count=2) == plain.views
    trained(recipe, tmp_path / "run", write_fashion(tmp_path / "data", train=40))


def test_debiased_positives_on_cifar10_train_with_both_kinds_of_pair_noise(tmp_path):
    recipe = recipe_named("debiased-pos-cifar10")
    write_cifar(tmp_path, 10, count=8)
    recipe = replace(
        recipe,
        method=replace(
            recipe.method, objective=replace(recipe.method.objective, drop_false_negatives="yes")
        ),
        training=replace(recipe.training, false_positives=0.3),
    )
    trained(recipe, tmp_path / "run", tmp_path)


def test_alignment_and_uniformity_on_stl10_train_from_files_of_its_format(tmp_path):
    recipe = recipe_named("align-uniform-stl10")
    write_stl10(tmp_path, unlabelled=30)
    recipe = replace(recipe, encoder=replace(recipe.encoder, width=4))
    trained(recipe, tmp_path / "run", tmp_path)


@pytest.mark.parametrize(
    ("training", "method", "words"),
    [
        ({"false_positives": 0.3}, {}, r"training.false_positives is 0\.3: it must be 0 for data"),
        (
            {},
            {"objective": {"name": "nt_xent", "drop_false_negatives": "yes"}},
            "method.objective.drop_false_negatives is yes: it needs labels",
        ),
    ],
)
def test_pair_noise_without_labels_is_refused_before_training(training, method, words, tmp_path):
    recipe = small_recipe(tmp_path)
    file = tmp_path / "unlabelled.npz"
    np.savez(
        file, images=np.zeros((96, 8, 8, 1), dtype=np.uint8) + np.arange(8, dtype=np.uint8)[:, None]
    )
    recipe = replace(
        recipe,
        data=replace(recipe.data, root=file),
        method=replace(recipe.method, **method),
        training=replace(recipe.training, **training),
    )
    assert isinstance(recipe.method, SimCLRSpec)
    with pytest.raises(SettingError, match=words):
        assemble(recipe)
