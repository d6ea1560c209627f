from dataclasses import replace

import pytest

from nearfar.data.specs import NpzSpec
from nearfar.errors import SettingError
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.recipes.names import RECIPES, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid(name, tmp_path):
    recipe = recipe_named(name)
    if recipe.data.root_needed:
        # Where it lies is all that such a recipe leaves open.
        with pytest.raises(SettingError, match=r"needs --data\.root"):
            recipe.data.require_root()
        recipe = replace(recipe, data=replace(recipe.data, root=tmp_path))
    if recipe.data.name in ("fonts", "openmoji", "wordnet"):  # `make` fills a place of their own
        (tmp_path / "openmoji.csv").touch()
        recipe = replace(recipe, data=replace(recipe.data, root=tmp_path))
    recipe.data.require_root()


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
        replace(recipe, **{room: replace(getattr(recipe, room), **changes)})
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_negative_seed_is_refused():
    with pytest.raises(SettingError, match="seed is -1"):
        replace(recipe_named("simclr-digits"), seed=-1)


def test_the_batch_of_a_recipe_fits_its_data():
    recipe = recipe_named("simclr-digits")
    replace(recipe, training=replace(recipe.training, batch_size=1167))


def test_the_batch_of_ones_own_data_waits_for_them():
    recipe = recipe_named("simclr-digits")
    large = replace(recipe.training, batch_size=5000)
    with pytest.raises(SettingError, match="which is 1167"):
        replace(recipe, training=large)
    assert replace(recipe, training=large, data=NpzSpec()).training == large


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_batch_is_shared_by_the_ranks_that_were_launched(ranks, monkeypatch):
    told = {"RANK": "0", "WORLD_SIZE": str(ranks), "LOCAL_RANK": "0"}
    for name, value in (told | {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    if ranks < 3:
        recipe_named("simclr-digits")
        return
    with pytest.raises(SettingError, match="shared evenly by 3 ranks"):
        recipe_named("simclr-digits")


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
        replace(recipe, **{room: replace(getattr(recipe, room), **changes)})
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
    changed = {room: replace(getattr(recipe, room), **changes)}
    replace(recipe, data=replace(recipe.data, label_noise=0.1), **changed)
