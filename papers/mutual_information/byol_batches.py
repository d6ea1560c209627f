"""BYOL in batches of different sizes, at equal steps."""

import pandas as pd
from matplotlib.figure import Figure

from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.recipes.recipe import Recipe
from papers.figures import panels
from papers.mutual_information.setup import PILOT, SOURCE
from papers.reproductions.base import BATCH, RATE
from papers.reproductions.contrast import over
from papers.reproductions.curves import by_epoch, by_setting
from papers.reproductions.probed import BESIDE, OURS, run
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import PROBE

EPOCHS = {32: 2, 64: 4, 128: 8}
"""By batch size: 560 steps each; batches of 32 take 562, for epochs are whole."""
NAMES = {f"batch-{size}": f"batch {size}" for size in EPOCHS}
BYOL = BYOLSpec(projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.9)
"""The target follows fast, for there are hundreds of steps instead of a hundred thousand."""


def setups() -> dict[str, Recipe]:
    """Every batch size, at a rate in proportion to it."""
    return {
        f"batch-{size}": run(BYOL, batch_size=size, epochs=epochs, rate=RATE * size / BATCH)
        for size, epochs in EPOCHS.items()
    }


def draw(results: pd.DataFrame) -> Figure:
    """Against epochs, and after the last."""
    figure, (left, right) = panels(2)
    by_epoch(left, results, NAMES)
    arms = {f"batch-{size}": (float(size), "") for size in EPOCHS}
    by_setting(right, results, PROBE, arms, "batch size")
    return figure


def _alike(larger: int, smaller: int):
    return over(
        f"batch-{larger}",
        f"batch-{smaller}",
        None,
        NAMES,
        yardstick=PROBE,
        interest=1.0,
        alike=True,
    )


REPRODUCTION = Reproduction(
    name="byol_batches",
    title="Is BYOL alike in all batch sizes, at equal steps?",
    source=SOURCE,
    published="Imagenette, linear probe: 92.2 with batches of 32, 92.4 with 64, 92.2 with 128 and "
    "92.0 with 256: flat, one run each.",
    ours=f"{OURS} BYOL's heads are 512 wide, its target keeps 0.9 at the first step and rises to "
    "1. All batches take 560 steps, so that the larger ones see more images, and the rate is in "
    "proportion to the batch (3e-3 at 128). Alike is what lies within ±1 point.",
    setups=setups,
    seeds=10,
    contrasts=(_alike(128, 32), _alike(128, 64), _alike(64, 32)),
    draw=draw,
    minutes=1.3,
    pilot=PILOT,
    beside=BESIDE,
)
