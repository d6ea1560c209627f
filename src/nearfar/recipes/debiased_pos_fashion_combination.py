"""Debiased positives on Fashion-MNIST, losses combined (Troshestova & Isachenko 2023).

Command: `nearfar train debiased-pos-fashion-combination --data.root FOLDER`, where the folder holds
the four IDX files (Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist); meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, with three views of each image (M = 2).
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 83.7 ± 0.2
%, 10 labels a class 73.0 ± 0.5 % (docs/results.md).
"""

from dataclasses import replace

from nearfar.methods.objective_specs import DebiasedPosSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import FASHION_VIEWS, PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def debiased_pos_fashion_combination() -> Recipe:
    """SimCLR with debiased positives, the mean loss of all pairs of views."""
    return fashion_recipe(
        "debiased-pos-fashion-combination",
        SimCLRSpec(
            objective=DebiasedPosSpec(
                temperature=PAIRWISE_TEMPERATURE, tau_plus=0.1, positives="combination"
            )
        ),
        views=replace(FASHION_VIEWS, count=3),
    )
