"""CPC on Fashion-MNIST: each row of patches predicts the rows below it.

Command: `nearfar train cpc-fashion --data.root FOLDER`; simclr_fashion.py says what the folder
holds; meant for two CPU cores.
Expected, mean ± sd of seeds 0, 1 and 2 on the 10 000 test images: kNN (k = 20, T = 0.07) 82.6 ± 0.1
%, 10 labels a class 68.8 ± 0.1 % (docs/results.md).
"""

from nearfar.encoders.config import EncoderConfig
from nearfar.methods.specs import CPCSpec
from nearfar.recipes.fashion_setup import fashion_recipe
from nearfar.recipes.recipe import Recipe
from nearfar.views.config import ViewsConfig


def cpc_fashion() -> Recipe:
    """CPC with patches and a GRU down their rows in the set-up that the methods share."""
    return fashion_recipe(
        "cpc-fashion",
        # Patches of 8 px are moved by up to 2 px: found on training images (docs/log.md).
        CPCSpec(prediction_steps=4, patch_crop=0.75, patch_jitter=0.5),
        # One view, and no jitter: what is drawn once for an image would give all its rows away.
        views=ViewsConfig(preset="simclr", count=1, crop_scale=(0.6, 1.0), blur=0.0, jitter=0.0),
        encoder=EncoderConfig(name="patch-gru", width=16),
    )
