from dataclasses import replace

import pytest

from nearfar.errors import SettingError
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.recipes.check import check_settings
from nearfar.recipes.names import RECIPES, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_pass(name, tmp_path):
    recipe = recipe_named(name)
    if recipe.data.root_needed:
        # Where it lies is all that such a recipe leaves open.
        recipe = replace(recipe, data=replace(recipe.data, root=tmp_path))
    check_settings(recipe)


@pytest.mark.parametrize(
    ("room", "changes", "said"),
    [
        ("data", {"name": "digitz"}, "did you mean 'digits'"),
        ("views", {"name": "simcrl"}, "did you mean 'simclr'"),
        ("views", {"flip": 1.5}, "flip"),
        ("encoder", {"name": "timm/resnt50"}, "did you mean 'timm/resnet50'"),
        ("encoder", {"width": 0}, "width"),
        ("method", {"objective": "vicrag"}, "did you mean 'vicreg'"),
        ("method", {"projection_dim": 0}, "method.projection_dim"),
        ("training", {"epochs": 0}, "training.epochs"),
        ("training", {"batch_size": 1}, "training.batch_size"),
        ("training", {"batch_size": 1168}, "training images, which is 1167"),
        ("evaluation", {"knn": {"votes": ((0, 0.1),)}}, "k=0"),
        ("evaluation", {"few_labels": {"draws": 0}}, "few_labels.draws is 0: it must be 1 to 10"),
        ("evaluation", {"leave_out": ("kn",)}, "did you mean 'knn'"),
        ("evaluation", {"seed": -1}, "evaluation.seed"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(room, changes, said):
    recipe = recipe_named("simclr-digits")
    with pytest.raises(SettingError) as refusal:
        check_settings(replace(recipe, **{room: replace(getattr(recipe, room), **changes)}))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_negative_seed_is_refused():
    with pytest.raises(SettingError, match="seed is -1"):
        check_settings(replace(recipe_named("simclr-digits"), seed=-1))


def test_the_batch_of_a_recipe_fits_its_data():
    recipe = recipe_named("simclr-digits")
    check_settings(replace(recipe, training=replace(recipe.training, batch_size=1167)))


def test_the_batch_of_given_data_is_not_measured_by_the_recipes_source():
    recipe = recipe_named("simclr-digits")
    large = replace(recipe, training=replace(recipe.training, batch_size=5000))
    check_settings(large, modality="images")


@pytest.mark.parametrize(
    ("name", "room", "changes", "said"),
    [
        ("simclr-digits", "views", {"count": 1}, "views.count is 1: SimCLR compares views"),
        (
            "cpc-vowels",
            "encoder",
            {"name": "series-resnet"},
            "encoder.name is series-resnet: it ca",
        ),
        ("cpc-vowels", "method", {"prediction_steps": 0}, "method.prediction_steps is 0"),
        ("cpc-vowels", "training", {"false_positives": 0.1}, "and views.count is 1"),
        ("simclr-digits", "data", {"label_noise": 0.1}, "data.label_noise is 0.1: SimCLR learns"),
        ("moco2-digits", "data", {"label_noise": 0.1}, "MoCo learns without labels"),
    ],
)
def test_what_a_method_cannot_use_is_refused(name, room, changes, said):
    recipe = recipe_named(name)
    with pytest.raises(SettingError) as refusal:
        check_settings(replace(recipe, **{room: replace(getattr(recipe, room), **changes)}))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "room", "changes"),
    [
        ("cross-entropy-digits", "method", {}),
        ("simclr-digits", "method", {"objective": NTXentSpec(drop_false_negatives="yes")}),
        ("simclr-digits", "training", {"false_positives": 0.3}),
    ],
)
def test_label_noise_passes_where_labels_are_read(name, room, changes):
    recipe = recipe_named(name)
    recipe = replace(recipe, data=replace(recipe.data, label_noise=0.1))
    check_settings(replace(recipe, **{room: replace(getattr(recipe, room), **changes)}))
