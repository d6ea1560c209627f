"""Debiased positives on Fashion-MNIST, two positives grouped (Troshestova & Isachenko 2023).

Command: `nearfar train debiased-pos-fashion-grouping --data.root FOLDER`, where the folder holds
the four IDX files (Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist); meant for two CPU cores.
Set-up: that which all Fashion-MNIST recipes share, with three views of each image (M = 2).
Expected: not measured yet.
"""

from dataclasses import replace

from nearfar.methods.config import SimCLRConfig
from nearfar.recipes.fashion_setup import FASHION_VIEWS, PAIRWISE_TEMPERATURE, fashion_recipe
from nearfar.recipes.recipe import Recipe


def debiased_pos_fashion_grouping() -> Recipe:
    """SimCLR with debiased positives, the mean of two."""
    return fashion_recipe(
        "debiased-pos-fashion-grouping",
        SimCLRConfig(
            objective="debiased_pos",
            temperature=PAIRWISE_TEMPERATURE,
            tau_plus=0.1,
            positives="grouping",
        ),
        views=replace(FASHION_VIEWS, count=3),
    )
