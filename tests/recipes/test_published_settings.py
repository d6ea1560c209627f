"""What the recipes take from the sources and their programs, to the number."""

import pytest
import torch
from torch import nn

from nearfar.methods.labelled_specs import PaCoSpec
from nearfar.methods.paco import PaCo
from nearfar.recipes.names import RECIPES, recipe_named

WARM = {
    "align-uniform-stl10": (200, 1),
    "byol-cifar10": (200, 0),
    "debiased-neg-cifar10": (50, 0),
    "debiased-pos-cifar10": (50, 0),
    "debiased-pos-cifar10-combination": (50, 0),
    "debiased-pos4-cifar10-combined": (50, 0),
    "debiased-pos-cifar10-grouping": (50, 0),
    "debiased-pos4-cifar10-grouped": (50, 0),
    "moco-cifar10": (200, 0),
    "moco2-imagenet": (200, 0),
    "paco-cifar100-lt": (400, 10),
    "simclr-cifar10": (50, 0),
    "supcon-cifar10": (1000, 10),
}
"""Epochs, and how many of them warm up."""


@pytest.mark.parametrize("name", RECIPES)
def test_the_warm_up_has_the_steps_it_had_when_it_was_given_in_epochs(name):
    training = recipe_named(name).training
    if name in WARM:
        epochs, warm = WARM[name]
    elif "fashion" in name and name != "simclr-fashion":
        epochs = 24 if name.endswith("-lt") else 6
        warm = epochs / 6
    else:
        epochs, warm = training.epochs, training.epochs / 10
    assert training.epochs == epochs
    for steps in (1, 5, 14, 58, 97, 210, 234, 390, 1666):  # of an epoch
        assert round(training.schedule.warmup_share * training.epochs * steps) == round(
            warm * steps
        )


def test_pacos_network_is_that_of_its_program():
    recipe = recipe_named("paco-cifar100-lt")
    encoder = recipe.encoder.build((3, 32, 32))
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    assert encoder.num_features == 64
    assert weights + 65 * 10 == 464_154  # He et al. (2015) count the classifier of CIFAR-10 too
    assert isinstance(recipe.method, PaCoSpec)
    method = PaCo(recipe.method, encoder, torch.full((100,), 5))
    for head in (method.projection, method.momentum_projection):
        assert [type(each) for each in head] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
        assert [each.weight.shape for each in list(head)[::2]] == [(64, 64), (64, 64), (32, 64)]
    settings = (
        recipe.method.alpha,
        recipe.method.temperature,
        recipe.training.optimizer.learning_rate,
    )
    assert settings == (0.01, 0.05, 0.05)


def test_supcons_steps_are_those_of_its_program():
    recipe = recipe_named("supcon-cifar10")
    training, method = recipe.training, recipe.method
    # c times the loss, at rate r and decay d, steps by r·c·gradient + r·d·weight.
    scale = method.temperature / 0.07
    assert (
        training.optimizer.learning_rate
        == pytest.approx(0.5 * scale)
        == pytest.approx(0.714, abs=5e-4)
    )
    assert training.optimizer.weight_decay == pytest.approx(1e-4 / scale) == pytest.approx(7e-5)


def test_every_moco2_has_the_head_of_version_two():
    for name in RECIPES:
        if name.startswith("moco"):
            assert recipe_named(name).method.head == ("mlp" if "moco2" in name else "linear")


def test_moco_on_cifar10_has_the_head_and_the_features_of_its_figures():
    recipe = recipe_named("moco-cifar10")
    assert recipe.method.head == "linear"
    assert recipe.evaluation.embeddings


@pytest.mark.parametrize("name", RECIPES)
def test_what_repeats_published_figures_takes_the_exact_views_and_holds_nothing_out(name):
    recipe, figures = recipe_named(name), RECIPES[name].figures
    if figures.rows and not figures.seeds:
        assert recipe.views.implementation == "exact"
        assert recipe.data.held_out == 0


@pytest.mark.parametrize(
    ("name", "views", "batch"),
    [
        ("debiased-pos-cifar10", 2, 512),
        ("debiased-pos-cifar10-grouping", 3, 512),
        ("debiased-pos-cifar10-combination", 3, 512),
        ("debiased-pos4-cifar10-grouped", 5, 64),
        ("debiased-pos4-cifar10-combined", 5, 64),
    ],
)
def test_debiased_positives_are_set_up_as_published(name, views, batch):
    recipe = recipe_named(name)
    assert (recipe.views.count, recipe.training.batch_size) == (views, batch)
    combined = name.endswith(("combination", "combined"))
    assert recipe.method.objective.positives == ("combination" if combined else "grouping")
    assert recipe.training.schedule.in_words == "constant"
    jitter = recipe.views.parameters(3, 32)[0]
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (
        pytest.approx((0.4, 0.4, 0.4, 0.1))
    )
    assert (jitter.blur_radius, jitter.blur, jitter.grey) == (1, 0.5, 0.2)  # 3 pixels


def test_pacos_views_are_autoaugment_with_cutout_and_mocos():
    first, second = recipe_named("paco-cifar100-lt").views.parameters(3, 32)
    assert (first.policy, first.cutout_side, first.padding * 32) == ("autoaugment-cifar10", 16, 4)
    assert (second.policy, second.jitter, second.crop_scale) == ("none", 0.8, (0.2, 1.0))


def test_the_figure_of_alignment_and_uniformity_is_that_of_its_weights():
    objective = recipe_named("align-uniform-stl10").method.objective
    assert (objective.align_weight, objective.uniform_weight) == (1.0, 1.0)
    assert RECIPES["align-uniform-stl10"].figures.rows[0].top1 == 83.19
