"""MoCo v1 on Fashion-MNIST for 6 epochs: a linear head, temperature 0.07.

Command: `nearfar train moco1-fashion --data.root FOLDER`, where the folder holds the four IDX files
(Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist); meant for
two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, so that head and temperature alone differ from
`moco2-fashion`.
Expected: not measured yet.
"""

from nearfar.methods.config import MoCoConfig
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe


def moco1_fashion() -> Recipe:
    """A queue of 16 batches; batch-norm in four parts, as on four devices."""
    return fashion_recipe(
        "moco1-fashion",
        MoCoConfig(
            head="linear", temperature=0.07, queue_size=4096, momentum=0.99, batch_norm_splits=4
        ),
    )
