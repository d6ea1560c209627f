"""SimCLR on Fashion-MNIST for 6 epochs: what the other methods are compared with.

Command: `nearfar train simclr-fashion-short --data.root FOLDER`, where the folder holds the four
IDX files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share; `simclr-fashion` is longer.
Expected, mean ± sd of seeds 0 to 4 on the 10 000 test images: kNN (k = 20, T = 0.07) 84.0 ± 0.2
%, 10 labels a class 72.8 ± 0.1 % (docs/results.md).
"""

from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def simclr_fashion_short() -> Recipe:
    """NT-Xent."""
    return fashion_recipe(
        "simclr-fashion-short", SimCLRSpec(objective=NTXentSpec(temperature=PAIRWISE_TEMPERATURE))
    )
