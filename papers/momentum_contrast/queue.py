"""MoCo over batch sizes and lengths of its queue."""

from dataclasses import replace
from functools import partial
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from nearfar.recipes.recipe import Recipe
from papers.figures import panels
from papers.momentum_contrast.setup import EPOCHS, MOCO, OF_MOCO, PILOT, SOURCE
from papers.reproductions.contrast import of_axis
from papers.reproductions.curves import by_epoch, by_setting
from papers.reproductions.probed import BESIDE, run
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import PROBE

BATCHES, QUEUES = (32, 128), (256, 4096)
CELLS = list(product(BATCHES, QUEUES))


def arm(batch: int, queue: int) -> str:
    """Its name."""
    return f"batch-{batch}-queue-{queue}"


def setups() -> dict[str, Recipe]:
    """Every batch size with every queue."""
    return {
        arm(batch, queue): run(replace(MOCO, queue_size=queue), epochs=EPOCHS, batch_size=batch)
        for batch, queue in CELLS
    }


def draw(results: pd.DataFrame) -> Figure:
    """By the length of the queue, and against epochs."""
    figure, (left, right) = panels(2)
    lines = {arm(*cell): (float(cell[1]), f"batch {cell[0]}") for cell in CELLS}
    by_setting(left, results, PROBE, lines, "keys in the queue")
    by_epoch(right, results, {arm(*cell): f"batch {cell[0]}, queue {cell[1]}" for cell in CELLS})
    return figure


_effect = partial(of_axis, cells={arm(*cell): cell for cell in CELLS}, yardstick=PROBE)
REPRODUCTION = Reproduction(
    name="moco_queue",
    title="Does MoCo gain by a longer queue, and by larger batches?",
    source=f"He et al. 2020; {SOURCE}",
    published="More negatives are better, and a queue gives them without a large batch (ImageNet, "
    "queues up to 65 536). No size is quoted here.",
    ours=f"{OF_MOCO} Each step adds the keys of both views, so that 256 keys are those of four "
    "steps of 32 or of one of 128, and 4096 those of 64 or of 16: nearly half of the 9000 images "
    "learnt from. At equal epochs the larger batch has a quarter of the steps.",
    setups=setups,
    seeds=3,
    contrasts=(
        _effect("queue of 4096 over 256", axis=1, better=4096, worse=256),
        _effect("batch 128 over 32", axis=0, better=128, worse=32),
    ),
    draw=draw,
    minutes=3.6,
    pilot=PILOT,
    beside=BESIDE,
)
