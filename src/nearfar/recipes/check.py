"""Refuses impossible settings before data are read and before torch is imported.

Each room knows what it cannot do; this asks them all. What only the data can tell (an unknown
number of images, a missing file) is refused when they are there, still before training.
"""

from nearfar.bounds import check_numbers, check_seed
from nearfar.errors import SettingError
from nearfar.launch import launched
from nearfar.modality import Modality
from nearfar.recipes.recipe import Recipe


def check_settings(recipe: Recipe, *, modality: Modality | None = None) -> None:
    """Refuses a recipe with a setting that no run can have.

    Args:
        recipe: Any recipe.
        modality: What the data are, where they are not those of the recipe's source.

    Raises:
        SettingError: Naming the first such setting, its value and what it may be.
    """
    check_numbers(recipe)
    check_seed("seed", recipe.seed)
    recipe.data.require_root()
    held = modality or recipe.data.modality
    recipe.views.require_modality(held)
    recipe.encoder.require_modality(held)
    recipe.method.require_encoder(recipe.encoder)
    recipe.method.require_views(recipe.views.count)
    _check_label_noise(recipe)
    if recipe.training.false_positives and recipe.views.count < 2:
        raise SettingError(
            f"training.false_positives is {recipe.training.false_positives:g}: they are second "
            "views, and views.count is 1"
        )
    # Data that are given, not loaded, are not as many as the recipe's source has.
    known = recipe.data.most_to_learn_from() if modality is None else None
    if known is not None:
        recipe.training.require_examples(known, labelled=True)
    recipe.training.require_ranks(launched().ranks)


def _check_label_noise(recipe: Recipe) -> None:
    """Refuses wrong labels where learning looks at none: they would change nothing."""
    if recipe.data.label_noise and not (
        recipe.method.reads_labels or recipe.training.false_positives
    ):
        raise SettingError(
            f"data.label_noise is {recipe.data.label_noise:g}: "
            f"{recipe.method.title} learns without labels, so it would change "
            "nothing: leave it out, or choose a method that learns from labels"
        )
