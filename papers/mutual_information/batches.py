"""SimCLR in batches from small to large, at equal epochs."""

import pandas as pd
from matplotlib.figure import Figure

from papers.figures import panels
from papers.mutual_information.setup import PILOT, SOURCE
from papers.reproductions.contrast import over
from papers.reproductions.curves import by_epoch, by_setting
from papers.reproductions.probed import BESIDE, OURS, run, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import PROBE

SIZES = (16, 32, 64, 128, 256)
NAMES = {f"batch-{size}": f"batch {size}" for size in SIZES}


def draw(results: pd.DataFrame) -> Figure:
    """Against epochs, and after the last."""
    figure, (left, right) = panels(2)
    by_epoch(left, results, NAMES)
    arms = {f"batch-{size}": (float(size), "") for size in SIZES}
    by_setting(right, results, PROBE, arms, "batch size")
    return figure


REPRODUCTION = Reproduction(
    name="simclr_batches",
    title="Is a larger batch better for SimCLR at equal epochs?",
    source=SOURCE,
    published="CIFAR-10, ResNet-18, 100 epochs, T = 0.75, jitter of strength 0.75, linear probe: "
    "71.8 with batches of 16, 74.7 with 32, 77.4 with 64, 78.6 with 128, 80.5 with 256, 80.5 with "
    "512 and 81.3 with 1024. One run each.",
    ours=f"{OURS} The rate is the same in all batches, so that a small one takes more steps of the "
    "same size.",
    setups=lambda: {f"batch-{size}": run(simclr(), batch_size=size) for size in SIZES},
    seeds=7,
    contrasts=(
        over("batch-128", "batch-32", 3.9, NAMES, yardstick=PROBE),
        over("batch-256", "batch-16", 8.7, NAMES, yardstick=PROBE),
    ),
    draw=draw,
    minutes=1.1,
    pilot=PILOT,
    beside=BESIDE,
)
