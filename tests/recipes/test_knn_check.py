from dataclasses import replace

import torch
from small_recipe import small_recipe

from nearfar.recipes.assembly import assemble
from nearfar.recipes.knn_check import knn_check
from nearfar.training.loop import train
from nearfar.training.run_folder import RunFolder


def test_the_check_is_right_for_pixels_that_name_the_class(tmp_path):
    judge = knn_check(assemble(small_recipe(tmp_path)))
    assert judge is not None
    pixels = torch.nn.Flatten()
    pixels.num_features = 64
    assert judge(pixels) == {"top1": 1.0, "top5": 1.0}


def test_the_check_is_at_chance_for_an_encoder_that_sees_nothing(tmp_path):
    class Blind(torch.nn.Module):
        num_features = 2

        def forward(self, images):
            return torch.ones(len(images), 2)

    judge = knn_check(assemble(small_recipe(tmp_path)))
    assert judge is not None
    assert judge(Blind())["top1"] < 0.6


def test_without_labels_there_is_no_check(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    source = replace(assembly.source, train=replace(assembly.source.train, labels=None))
    assert knn_check(replace(assembly, source=source)) is None


def test_a_class_that_only_asks_counts_as_missed(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    train = assembly.source.train
    found = []
    for single in range(len(train)):  # a fifth of the images ask, so some of these do
        labels = (torch.arange(len(train)) == single).long()
        source = replace(assembly.source, train=replace(train, labels=labels))
        judge = knn_check(replace(assembly, source=source))
        assert judge is not None
        found.append(judge(assembly.method.encoder)["top5"])
    asked = int(0.2 * len(train))
    assert found.count(1.0) == len(train) - asked
    assert found.count(1 - 1 / asked) == asked


def test_a_training_with_the_check_ends_with_the_same_bits_as_one_without(tmp_path):
    states = []
    for every in (0, 1):
        recipe = small_recipe(tmp_path)
        recipe = replace(recipe, training=replace(recipe.training, knn_every=every))
        assembly = assemble(recipe)
        train(
            assembly.method,
            assembly.views,
            assembly.batches,
            recipe.training,
            RunFolder.create(tmp_path / f"run-{every}"),
            seed=recipe.seed,
            knn=knn_check(assembly),
        )
        states.append(assembly.method.state_dict())
    without, with_check = states
    assert any("running_var" in name for name in without)
    for name, tensor in without.items():
        assert torch.equal(tensor, with_check[name]), name


def test_the_test_part_is_not_touched(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    untouchable = replace(assembly, source=replace(assembly.source, test=None))
    judge = knn_check(untouchable)
    assert judge is not None
    assert "top1" in judge(untouchable.method.encoder.eval())
