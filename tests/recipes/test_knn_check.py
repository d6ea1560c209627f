from dataclasses import replace

import torch
from small_recipe import small_recipe

from nearfar.recipes.assembly import assemble
from nearfar.recipes.knn_check import knn_check


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


def test_the_test_part_is_not_touched(tmp_path):
    assembly = assemble(small_recipe(tmp_path))
    untouchable = replace(assembly, source=replace(assembly.source, test=None))
    judge = knn_check(untouchable)
    assert judge is not None
    assert "top1" in judge(untouchable.method.encoder.eval())
