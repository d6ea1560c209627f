"""BYOL on Fashion-MNIST for 6 epochs: no negatives.

Command: `nearfar train byol-fashion --data.root FOLDER`, where the folder holds the four IDX files
(Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist); meant for
two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, symmetric views included.
Expected: not measured yet.
"""

from nearfar.methods.config import BYOLConfig
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def byol_fashion() -> Recipe:
    """Heads of 512 and 128, for 64 features; the target begins at 0.99."""
    return fashion_recipe(
        "byol-fashion",
        BYOLConfig(projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.99),
    )
