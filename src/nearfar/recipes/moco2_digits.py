"""MoCo v2 on the 1797 handwritten digits inside scikit-learn.

Command: `nearfar train moco2-digits`. The data come with scikit-learn, so no network is needed;
meant for two CPU cores.
Expected, seed 0, on the 500 test digits: kNN (k = 20, T = 0.07) 97.2 %, 10 labels a class 96.5 %
(three draws), linear probe 99.0 %; before training 93.0, 83.3 and 93.2 %, raw pixels 97.8, 90.5 and
97.2 %. Momentum 0 fails: 58.7 % on held-out training digits after 60 epochs.
The queue holds 1024 keys, four batches: with 1167 digits to learn from, a longer one would hold
earlier keys of an image among its negatives.
"""

from dataclasses import replace

from nearfar.methods.specs import MoCoSpec
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.simclr_digits import simclr_digits


def moco2_digits() -> Recipe:
    """The set-up of `simclr-digits`, with a key encoder that keeps 0.99 of itself at each step."""
    return replace(
        simclr_digits(),
        recipe="moco2-digits",
        method=MoCoSpec(projection_hidden=512, queue_size=1024, momentum=0.99),
    )
