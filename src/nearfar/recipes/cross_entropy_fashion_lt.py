"""Cross-entropy on a long tail of Fashion-MNIST, imbalance factor 100.

Command: `nearfar train cross-entropy-fashion-lt --data.root FOLDER`, where the folder holds the
four IDX files (Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist); meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, on 14 886 images, for as many steps.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: its classifier 80.9 ± 0.9 %, 80.6
± 1.5 % of the three smallest classes (docs/results.md).
"""

from nearfar.methods.specs import CrossEntropySpec
from nearfar.recipes.fashion_setup import fashion_long_tail_recipe
from nearfar.recipes.recipe import Recipe


def cross_entropy_fashion_lt() -> Recipe:
    """Cross-entropy with a narrow ResNet on a long tail of Fashion-MNIST."""
    return fashion_long_tail_recipe("cross-entropy-fashion-lt", CrossEntropySpec())
