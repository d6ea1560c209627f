"""MoCo v1 on Fashion-MNIST for 6 epochs: a linear head, temperature 0.07.

Command: `nearfar train moco1-fashion --data.root FOLDER`, where the folder holds the four IDX files
(Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist); meant for
two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, so that head and temperature alone differ from
`moco2-fashion`.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 82.8 ± 0.1
%, 10 labels a class 68.8 ± 1.2 % (docs/results.md).
"""

from nearfar.methods.specs import MoCoSpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def moco1_fashion() -> Recipe:
    """A queue of 16 batches; batch-norm in four parts, as on four devices."""
    return fashion_recipe(
        "moco1-fashion",
        MoCoSpec(
            head="linear", temperature=0.07, queue_size=4096, momentum=0.99, batch_norm_splits=4
        ),
    )
