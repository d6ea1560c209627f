"""MoCo v2 on Fashion-MNIST for 6 epochs: a hidden layer in the head, temperature 0.2.

Command: `nearfar train moco2-fashion --data.root FOLDER`, where the folder holds the four IDX files
(Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist); meant for
two CPU cores.
Set-up: that which all Fashion-MNIST recipes share. v2's views and cosine schedule are part of it.
Expected, mean ± sd of seeds 0 to 4 on the 10 000 test images: kNN (k = 20, T = 0.07) 82.8 ± 0.3
%, 10 labels a class 69.6 ± 0.7 % (docs/results.md).
"""

from nearfar.methods.specs import MoCoSpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def moco2_fashion() -> Recipe:
    """A queue of 16 batches; batch-norm in four parts, as on four devices."""
    return fashion_recipe(
        "moco2-fashion",
        MoCoSpec(projection_hidden=512, queue_size=4096, momentum=0.99, batch_norm_splits=4),
    )
