"""What is trained: every recipe of the shared Fashion-MNIST set-up, and variations of some."""

from dataclasses import replace
from typing import Any

from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.fashion_mnist import long_tail_setup, shared_setup
from nearfar.recipes.names import RECIPES
from nearfar.recipes.recipe import Recipe

CONTRASTIVE = "simclr-fashion-short"
"""What others are compared with; it is judged together with raw pixels and untrained weights."""
DEBIASED = ("debiased-neg-fashion", "debiased-pos-fashion")
LONG_TAIL_BASELINES = "cross-entropy-fashion-lt"
"""The long-tailed run that is judged together with raw pixels and untrained weights."""

NO_MOMENTUM = "moco2-fashion-momentum-0"
FALSE_POSITIVES = 0.3
BYOL_BATCHES = (64, 128)
"""Beside the shared set-up's own."""

_SHARED = shared_setup(SimCLRSpec())
_LONG_TAIL = long_tail_setup(SimCLRSpec())


def experiments() -> dict[str, Recipe]:
    """Every run by name, of seed 0; without baselines where they are those of another run."""
    found = {name: recipe() for name, recipe in RECIPES.items()}
    found = {name: recipe for name, recipe in found.items() if is_plain(recipe)}
    found |= variations(found)
    shared = found[CONTRASTIVE].encoder
    return {
        name: recipe
        if name in (CONTRASTIVE, LONG_TAIL_BASELINES) or recipe.encoder != shared
        else replace(recipe, evaluation=replace(recipe.evaluation, baselines=False))
        for name, recipe in found.items()
    }


def is_plain(recipe: Recipe) -> bool:
    """Whether a recipe is of the shared set-up: the same images, as many steps."""
    return (recipe.data, recipe.training) in (
        (_SHARED.data, _SHARED.training),
        (_LONG_TAIL.data, _LONG_TAIL.training),
    )


def is_long_tailed(recipe: Recipe) -> bool:
    """Whether it learns from a long tail."""
    return recipe.data.imbalance_factor is not None


def learns_from_labels(recipe: Recipe) -> bool:
    """Whether its method needs them."""
    return recipe.method.needs_labels


def variations(plain: dict[str, Recipe]) -> dict[str, Recipe]:
    """Recipes with one setting changed that a source speaks of."""
    found = {}
    for name in (CONTRASTIVE, *DEBIASED):
        recipe = plain[name]
        found[without_false_negatives(name)] = _objective(recipe, drop_false_negatives="yes")
        found[with_false_positives(name)] = _training(recipe, false_positives=FALSE_POSITIVES)
    found[NO_MOMENTUM] = _method(plain["moco2-fashion"], momentum=0.0)
    for size in BYOL_BATCHES:
        found[byol_of_batch(size)] = _training(plain["byol-fashion"], batch_size=size)
    return found


def without_false_negatives(name: str) -> str:
    """Name of the variation in which no negative is of the anchor's class."""
    return f"{name}-no-false-negatives"


def with_false_positives(name: str) -> str:
    """Name of the variation in which some second views are of another class."""
    return f"{name}-false-positives"


def byol_of_batch(size: int) -> str:
    """Name of BYOL's run with another batch size."""
    return f"byol-fashion-batch-{size}"


def _method(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, method=replace(recipe.method, **changes))


def _objective(recipe: Recipe, **changes: Any) -> Recipe:
    assert isinstance(recipe.method, SimCLRSpec)
    return _method(recipe, objective=replace(recipe.method.objective, **changes))


def _training(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, training=replace(recipe.training, **changes))
