"""SimCLR over batch size, temperature and strength of the colour jitter."""

from dataclasses import replace
from functools import partial
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from papers.figures import panels
from papers.mutual_information.setup import PILOT, SOURCE
from papers.reproductions.contrast import of_axis
from papers.reproductions.curves import by_setting
from papers.reproductions.probed import BESIDE, OURS, run, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import PROBE

BATCHES, TEMPERATURES, STRENGTHS = (32, 128), (0.25, 0.5, 1.0), (0.5, 1.0)
CELLS = list(product(BATCHES, TEMPERATURES, STRENGTHS))


def arm(batch: int, temperature: float, strength: float) -> str:
    """Its name."""
    return f"batch-{batch}-T-{temperature:g}-jitter-{strength:g}"


def setups() -> dict[str, Recipe]:
    """Every cell of the grid."""
    return {
        arm(*cell): run(
            simclr(cell[1]), batch_size=cell[0], views=replace(VIEWS, jitter_strength=cell[2])
        )
        for cell in CELLS
    }


_effect = partial(of_axis, cells={arm(*cell): cell for cell in CELLS}, yardstick=PROBE)


def draw(results: pd.DataFrame) -> Figure:
    """By each axis, a line for each pair of the other two."""
    figure, axes = panels(3)
    names = ("batch {:g}", "T = {:g}", "jitter {:g}")
    for axis, label in enumerate(("batch size", "temperature", "strength of the jitter")):
        arms = {}
        for cell in CELLS:
            others = [
                name.format(value)
                for place, (name, value) in enumerate(zip(names, cell, strict=True))
                if place != axis
            ]
            arms[arm(*cell)] = float(cell[axis]), ", ".join(others)
        by_setting(axes[axis], results, PROBE, arms, label)
    return figure


REPRODUCTION = Reproduction(
    name="simclr_grid",
    title="Do batch, temperature and jitter move SimCLR as they did?",
    source=SOURCE,
    published="CIFAR-10, ResNet-18, 100 epochs, linear probe, over batches of 512 and 1024, T and "
    "strength of the jitter of 0.25, 0.5, 0.75 and 1: 32 runs between 78.2 and 84.1. The best has "
    "the larger batch, T = 0.25 and strength 0.75 (84.1, top-5 99.5); the best of 512 has T = 0.25 "
    "and strength 0.25 (83.3, top-5 99.4). One run a cell, and no mean by axis is given.",
    ours=f"{OURS} The colours of these images are drawn at random and give an image away, so the "
    "strengths are 0.5 and 1. At equal epochs a batch of 32 has four times the steps of one of "
    "128, at the same rate: which of the two decides is not told apart, here as there.",
    setups=setups,
    seeds=4,
    contrasts=(
        _effect("T = 0.25 over T = 1", axis=1, better=0.25, worse=1.0),
        _effect("batch 128 over 32", axis=0, better=128, worse=32),
        _effect("jitter of strength 1 over 0.5", axis=2, better=1.0, worse=0.5),
    ),
    draw=draw,
    minutes=1.0,
    pilot=PILOT,
    beside=BESIDE,
)
