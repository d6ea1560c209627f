"""Alignment and uniformity on Fashion-MNIST (Wang & Isola 2020).

Command: `nearfar train align-uniform-fashion --data.root FOLDER`, where the folder holds the four
IDX files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 84.3 ± 0.3
%, 10 labels a class 71.8 ± 0.5 % (docs/results.md).
"""

from nearfar.methods.objective_specs import AlignUniformSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def align_uniform_fashion() -> Recipe:
    """SimCLR's network trained for alignment and uniformity."""
    return fashion_recipe(
        "align-uniform-fashion",
        SimCLRSpec(objective=AlignUniformSpec(align_weight=1.0, uniform_weight=1.0)),
    )
