"""PaCo on a long tail of Fashion-MNIST, imbalance factor 100.

Command: `nearfar train paco-fashion-lt --data.root FOLDER`, where the folder holds the four IDX
files (Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist);
meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, on 14 886 images, for as many steps.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: its classifier 83.1 ± 0.3 %, 88.4
± 0.4 % of the three smallest classes (docs/results.md).
"""

from nearfar.methods.specs import PaCoSpec
from nearfar.recipes.fashion_setup import fashion_long_tail_recipe
from nearfar.recipes.recipe import Recipe


def paco_fashion_lt() -> Recipe:
    """PaCo with a narrow ResNet on a long tail of Fashion-MNIST."""
    # The first class is 40 % of the images: of 1024 keys and 512 rows some 600 are its own, and
    # with alpha 0.001 its positives weigh 0.6 together, as those of CIFAR-100's first class in the
    # paper. 1392 steps are few for the paper's momentum of 0.999, which looks back a thousand.
    method = PaCoSpec(temperature=0.2, alpha=0.001, queue_size=1024, momentum=0.99)
    return fashion_long_tail_recipe("paco-fashion-lt", method)
