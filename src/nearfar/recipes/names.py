"""Every recipe by name. Imports nothing heavy: the command line reads it for its help."""

from collections.abc import Callable

from nearfar.errors import unknown_name
from nearfar.recipes.align_uniform_fashion import align_uniform_fashion
from nearfar.recipes.align_uniform_stl10 import align_uniform_stl10
from nearfar.recipes.balanced_softmax_fashion_lt import balanced_softmax_fashion_lt
from nearfar.recipes.barlow_fashion import barlow_fashion
from nearfar.recipes.byol_cifar10 import byol_cifar10
from nearfar.recipes.byol_digits import byol_digits
from nearfar.recipes.byol_fashion import byol_fashion
from nearfar.recipes.cpc_digits import cpc_digits
from nearfar.recipes.cpc_fashion import cpc_fashion
from nearfar.recipes.cpc_vowels import cpc_vowels
from nearfar.recipes.cross_entropy_digits import cross_entropy_digits
from nearfar.recipes.cross_entropy_fashion import cross_entropy_fashion
from nearfar.recipes.cross_entropy_fashion_lt import cross_entropy_fashion_lt
from nearfar.recipes.debiased_neg_fashion import debiased_neg_fashion
from nearfar.recipes.debiased_pos_cifar10 import debiased_pos_cifar10
from nearfar.recipes.debiased_pos_fashion import debiased_pos_fashion
from nearfar.recipes.debiased_pos_fashion_combination import debiased_pos_fashion_combination
from nearfar.recipes.debiased_pos_fashion_grouping import debiased_pos_fashion_grouping
from nearfar.recipes.decoupled_fashion import decoupled_fashion
from nearfar.recipes.hard_negatives_fashion import hard_negatives_fashion
from nearfar.recipes.moco1_fashion import moco1_fashion
from nearfar.recipes.moco2_cifar10 import moco2_cifar10
from nearfar.recipes.moco2_digits import moco2_digits
from nearfar.recipes.moco2_fashion import moco2_fashion
from nearfar.recipes.moco2_imagenet import moco2_imagenet
from nearfar.recipes.paco_cifar100_lt import paco_cifar100_lt
from nearfar.recipes.paco_digits import paco_digits
from nearfar.recipes.paco_fashion_lt import paco_fashion_lt
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.simclr_cifar10 import simclr_cifar10
from nearfar.recipes.simclr_digits import simclr_digits
from nearfar.recipes.simclr_fashion import simclr_fashion
from nearfar.recipes.simclr_fashion_short import simclr_fashion_short
from nearfar.recipes.simclr_pictures import simclr_pictures
from nearfar.recipes.simclr_vowels import simclr_vowels
from nearfar.recipes.simclr_wine import simclr_wine
from nearfar.recipes.supcon_cifar10 import supcon_cifar10
from nearfar.recipes.supcon_digits import supcon_digits
from nearfar.recipes.supcon_fashion import supcon_fashion
from nearfar.recipes.supcon_fashion_lt import supcon_fashion_lt
from nearfar.recipes.vicreg_fashion import vicreg_fashion

RECIPES: dict[str, Callable[[], Recipe]] = {
    "simclr-digits": simclr_digits,
    "simclr-pictures": simclr_pictures,
    "simclr-fashion": simclr_fashion,
    "simclr-fashion-short": simclr_fashion_short,
    "debiased-neg-fashion": debiased_neg_fashion,
    "hard-negatives-fashion": hard_negatives_fashion,
    "debiased-pos-fashion": debiased_pos_fashion,
    "debiased-pos-fashion-grouping": debiased_pos_fashion_grouping,
    "debiased-pos-fashion-combination": debiased_pos_fashion_combination,
    "decoupled-fashion": decoupled_fashion,
    "align-uniform-fashion": align_uniform_fashion,
    "vicreg-fashion": vicreg_fashion,
    "barlow-fashion": barlow_fashion,
    "simclr-cifar10": simclr_cifar10,
    "simclr-vowels": simclr_vowels,
    "simclr-wine": simclr_wine,
    "debiased-pos-cifar10": debiased_pos_cifar10,
    "moco2-digits": moco2_digits,
    "byol-digits": byol_digits,
    "moco1-fashion": moco1_fashion,
    "moco2-fashion": moco2_fashion,
    "byol-fashion": byol_fashion,
    "moco2-cifar10": moco2_cifar10,
    "byol-cifar10": byol_cifar10,
    "moco2-imagenet": moco2_imagenet,
    "cpc-digits": cpc_digits,
    "cpc-vowels": cpc_vowels,
    "cpc-fashion": cpc_fashion,
    "supcon-digits": supcon_digits,
    "supcon-fashion": supcon_fashion,
    "supcon-fashion-lt": supcon_fashion_lt,
    "cross-entropy-digits": cross_entropy_digits,
    "cross-entropy-fashion": cross_entropy_fashion,
    "cross-entropy-fashion-lt": cross_entropy_fashion_lt,
    "balanced-softmax-fashion-lt": balanced_softmax_fashion_lt,
    "paco-digits": paco_digits,
    "paco-fashion-lt": paco_fashion_lt,
    "paco-cifar100-lt": paco_cifar100_lt,
    "align-uniform-stl10": align_uniform_stl10,
    "supcon-cifar10": supcon_cifar10,
}
"""Name of each recipe and the function that returns it."""

DEFAULT_RECIPE = "simclr-digits"
"""The recipe of `nearfar train` without a name: its data need no network."""


def recipe_named(name: str) -> Recipe:
    """The recipe of a name, complete and unchanged.

    Args:
        name: A key of `RECIPES`.

    Raises:
        SettingError: There is no recipe of this name; the message names the nearest.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]()
