"""Decoupled contrastive learning on Fashion-MNIST (Yeh et al. 2022).

Command: `nearfar train decoupled-fashion --data.root FOLDER`, where the folder holds the four IDX
files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 84.0 ± 0.2
%, 10 labels a class 73.2 ± 0.6 % (docs/results.md).
"""

from nearfar.methods.objective_specs import DecoupledSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def decoupled_fashion() -> Recipe:
    """SimCLR without the positive in the denominator."""
    return fashion_recipe(
        "decoupled-fashion", SimCLRSpec(objective=DecoupledSpec(temperature=PAIRWISE_TEMPERATURE))
    )
