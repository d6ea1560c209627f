"""Barlow Twins on Fashion-MNIST (Zbontar et al. 2021).

Command: `nearfar train barlow-fashion --data.root FOLDER`, where the folder holds the four IDX
files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share; SimCLR's head takes the place of the authors'
wider one of three layers.
Expected, mean ± sd of seeds 0 to 4 on the 10 000 test images: kNN (k = 20, T = 0.07) 82.0 ± 0.3
%, 10 labels a class 70.4 ± 0.5 % (docs/results.md).
"""

from nearfar.methods.objective_specs import BarlowTwinsSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def barlow_fashion() -> Recipe:
    """SimCLR's network trained with Barlow Twins."""
    return fashion_recipe("barlow-fashion", SimCLRSpec(objective=BarlowTwinsSpec()))
