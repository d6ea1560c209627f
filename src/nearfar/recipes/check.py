"""Refuses impossible settings before data are read and before torch is imported.

Each room knows what it cannot do; this asks them all. What only the data can tell (an unknown
number of images, a missing file) is refused when they are there, still before training.
"""

from nearfar.data.catalogue import SOURCES, check_data_config
from nearfar.encoders.backbones import check_encoder
from nearfar.errors import SettingError
from nearfar.evaluation.check import check_evaluation
from nearfar.methods.check import check_method
from nearfar.recipes.recipe import Recipe
from nearfar.training.checks import check_training_config
from nearfar.training.launch import launched
from nearfar.views.presets import resolve


def check_settings(recipe: Recipe) -> None:
    """Refuses a recipe with a setting that no run can have.

    Args:
        recipe: Any recipe.

    Raises:
        SettingError: Naming the first such setting, its value and what it may be.
    """
    if recipe.seed < 0:
        raise SettingError(f"seed is {recipe.seed}: it must be 0 or more")
    check_data_config(recipe.data)
    # The channels and the side are the images' own, as yet unknown: any will do for the check.
    resolve(recipe.views, channels=3, size=32)
    check_encoder(recipe.encoder)
    check_method(recipe.method)
    whole_part = recipe.data.train_part == "train"
    known = SOURCES[recipe.data.name].train_images if whole_part else None
    check_training_config(recipe.training, examples=known, ranks=launched().ranks)
    check_evaluation(recipe.evaluation)
