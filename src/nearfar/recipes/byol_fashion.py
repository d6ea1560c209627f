"""BYOL on Fashion-MNIST for 6 epochs: no negatives.

Command: `nearfar train byol-fashion --data.root FOLDER`, where the folder holds the four IDX files
(Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist); meant for
two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, symmetric views included.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 82.6 ± 0.5
%, 10 labels a class 69.8 ± 1.0 % (docs/results.md).
"""

from nearfar.methods.specs import BYOLSpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def byol_fashion() -> Recipe:
    """Heads of 512 and 128, for 64 features; the target begins at 0.99."""
    return fashion_recipe(
        "byol-fashion",
        BYOLSpec(projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.99),
    )
