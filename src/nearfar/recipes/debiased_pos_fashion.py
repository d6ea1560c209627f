"""Debiased positives on Fashion-MNIST (Troshestova & Isachenko 2023).

Command: `nearfar train debiased-pos-fashion --data.root FOLDER`, where the folder holds the four
IDX files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share; 0.1 is the share of each of its classes.
Expected, mean ± sd of seeds 0 to 4 on the 10 000 test images: kNN (k = 20, T = 0.07) 83.7 ± 0.3
%, 10 labels a class 72.6 ± 0.3 % (docs/results.md).
"""

from nearfar.methods.objective_specs import DebiasedPosSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def debiased_pos_fashion() -> Recipe:
    """SimCLR with debiased positives."""
    return fashion_recipe(
        "debiased-pos-fashion",
        SimCLRSpec(objective=DebiasedPosSpec(temperature=PAIRWISE_TEMPERATURE, tau_plus=0.1)),
    )
