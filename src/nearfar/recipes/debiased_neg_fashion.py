"""Debiased negatives on Fashion-MNIST (Chuang et al. 2020).

Command: `nearfar train debiased-neg-fashion --data.root FOLDER`, where the folder holds the four
IDX files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share; 0.1 is the share of each of its classes.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 84.0 ± 0.3
%, 10 labels a class 73.1 ± 0.8 % (docs/results.md).
"""

from nearfar.methods.objective_specs import DebiasedNegSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def debiased_neg_fashion() -> Recipe:
    """SimCLR with debiased negatives."""
    return fashion_recipe(
        "debiased-neg-fashion",
        SimCLRSpec(objective=DebiasedNegSpec(temperature=PAIRWISE_TEMPERATURE, tau_plus=0.1)),
    )
