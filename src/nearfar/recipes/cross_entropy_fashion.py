"""Cross-entropy on Fashion-MNIST: the supervised baseline.

Command: `nearfar train cross-entropy-fashion --data.root FOLDER`, where the folder holds the four
IDX files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 89.5 ± 0.3
%, 10 labels a class 86.0 ± 0.3 % (docs/results.md).
"""

from nearfar.methods.specs import CrossEntropySpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def cross_entropy_fashion() -> Recipe:
    """A narrow ResNet and a linear classifier on Fashion-MNIST."""
    return fashion_recipe("cross-entropy-fashion", CrossEntropySpec())
