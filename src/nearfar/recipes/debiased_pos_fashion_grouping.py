"""Debiased positives on Fashion-MNIST, two positives grouped (Troshestova & Isachenko 2023).

Command: `nearfar train debiased-pos-fashion-grouping --data.root FOLDER`, where the folder holds
the four IDX files (Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist); meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, with three views of each image (M = 2).
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 83.6 ± 0.4
%, 10 labels a class 73.0 ± 0.5 % (docs/results.md).
"""

from dataclasses import replace

from nearfar.methods.objective_specs import DebiasedPosSpec
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fashion_setup import FASHION_VIEWS, PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def debiased_pos_fashion_grouping() -> Recipe:
    """SimCLR with debiased positives, the mean of two."""
    return fashion_recipe(
        "debiased-pos-fashion-grouping",
        SimCLRSpec(
            objective=DebiasedPosSpec(
                temperature=PAIRWISE_TEMPERATURE, tau_plus=0.1, positives="grouping"
            )
        ),
        views=replace(FASHION_VIEWS, count=3),
    )
