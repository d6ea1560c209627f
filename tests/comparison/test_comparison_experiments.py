"""Every recipe of the shared set-up is compared, and a variation differs in one setting."""

from dataclasses import fields

from tools.comparison.experiments import (
    experiments,
    is_long_tailed,
    learns_from_labels,
)

from nearfar.methods.method_spec import MethodSpec
from nearfar.recipes.names import RECIPES


def test_every_method_takes_part():
    compared = {recipe.method.name for recipe in experiments().values()}
    # A student needs a finished run; SupCon over a queue came after these runs, for the study of
    # gradients by class.
    assert compared == set(MethodSpec.known()) - {"distill", "supcon-queue", "clip"}


def test_all_have_one_set_up():
    wanted = experiments()
    assert "simclr-fashion" not in wanted
    for name, recipe in wanted.items():
        assert recipe.data.name == "fashion-mnist"
        assert is_long_tailed(recipe) == name.endswith("-lt")
        assert recipe.training.epochs == (24 if is_long_tailed(recipe) else 6)
    assert not learns_from_labels(wanted["byol-fashion"])
    assert learns_from_labels(wanted["supcon-fashion"])


def test_baselines_are_judged_once_for_each_data_set_and_encoder():
    wanted = experiments()
    judged = {name for name, recipe in wanted.items() if recipe.evaluation.baselines}
    shared = {name for name in judged if wanted[name].encoder.name == "small-resnet"}
    assert shared == {"simclr-fashion-short", "cross-entropy-fashion-lt"}
    others = {name for name, each in wanted.items() if each.encoder.name != "small-resnet"}
    assert others == judged - shared


def test_a_variation_differs_from_its_recipe_in_one_setting():
    variations = {n: recipe for n, recipe in experiments().items() if n not in RECIPES}
    assert len(variations) == 9
    for name, recipe in variations.items():
        base = RECIPES[recipe.recipe]()
        assert name.startswith(recipe.recipe)
        differing = [
            f"{room.name}.{each.name}"
            for room in fields(base)
            if room.name in ("data", "views", "encoder", "method", "training")
            for each in fields(getattr(base, room.name))
            if getattr(getattr(base, room.name), each.name)
            != getattr(getattr(recipe, room.name), each.name)
        ]
        assert len(differing) == 1, (name, differing)
