"""BYOL on the 1797 handwritten digits inside scikit-learn: no negatives.

Command: `nearfar train byol-digits`. The data come with scikit-learn, so no network is needed.
Expected: not measured yet.
"""

from dataclasses import replace

from nearfar.methods.config import BYOLConfig
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.simclr_digits import simclr_digits


def byol_digits() -> Recipe:
    """The set-up of `simclr-digits`, with narrow heads and a target that begins at 0.99."""
    return replace(
        simclr_digits(),
        recipe="byol-digits",
        # 650 steps: at the paper's 0.996 the target would lag behind by a third of the run.
        method=BYOLConfig(
            projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.99
        ),
    )
