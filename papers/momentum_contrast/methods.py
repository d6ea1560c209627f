"""The methods side by side, at equal epochs."""

from dataclasses import replace
from functools import partial

from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from papers.momentum_contrast import ablation
from papers.momentum_contrast.setup import BATCH, EPOCHS, OF_MOCO, PILOT, SOURCE, moco
from papers.mutual_information.byol_batches import BYOL
from papers.reproductions import base
from papers.reproductions.contrast import over
from papers.reproductions.curves import epochs_and_last
from papers.reproductions.probed import BESIDE, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import OUR_KNN, PROBE, Yardstick

NAMES = {
    "simclr": "SimCLR",
    "moco-v1": "MoCo v1",
    "moco-v2": "MoCo v2",
    "byol": "BYOL",
    "supervised": "supervised",
}
BASELINES = (
    Yardstick("own classifier", protocol="classifier"),
    replace(PROBE, title="raw pixels, linear probe", features="raw"),
    replace(PROBE, title="untrained, linear probe", features="untrained"),
)
"""Beside one arm, for they are those of all."""


def setups() -> dict[str, Recipe]:
    """Each method as its authors schedule it; v1 and v2 are those of the ablation."""
    of_moco = ablation.setups()
    with_cosine = partial(moco, schedule=ablation.COSINE)
    return {
        "simclr": with_cosine(simclr()),
        "moco-v1": of_moco["v1"],
        "moco-v2": of_moco["v2"],
        "byol": with_cosine(BYOL),
        "supervised": replace(
            with_cosine(CrossEntropySpec(), views=replace(VIEWS, count=1)),
            evaluation=base.judged_by((20, 0.07), probe=True, baselines=True),
        ),
    }


_over = partial(over, names=NAMES, yardstick=PROBE, interest=1.0)
REPRODUCTION = Reproduction(
    name="contrastive_methods",
    title="Which method is best at equal epochs?",
    source=SOURCE,
    published="ImageNet, linear probe after 200 epochs of batches of 256: MoCo v1 60.6, SimCLR "
    "61.9 (66.6 with batches of 8192), MoCo v2 67.5. Trained longer: SimCLR 69.3 after 1000 "
    "epochs, MoCo v2 71.1 after 800.",
    ours=f"{OF_MOCO} All methods have {EPOCHS} epochs of batches of {BATCH} and half a cosine, "
    "MoCo v1 two drops; SimCLR, BYOL and supervision see no blur, MoCo v2 does. BYOL has heads "
    "of 512 and a target that keeps 0.9 at first; supervision has one view of each image. What "
    "MoCo and BYOL reach in so few steps says little of what they reach in many.",
    setups=setups,
    seeds=3,
    contrasts=(
        _over("moco-v2", "simclr", 5.6),
        _over("simclr", "moco-v1", 1.3),
        _over("supervised", "simclr", None),
    ),
    draw=epochs_and_last(NAMES, (PROBE, OUR_KNN)),
    minutes=4.0,
    pilot=PILOT,
    beside=(*BESIDE, *BASELINES),
)
