"""SimCLR over batch sizes and lengths of the training."""

from functools import partial
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from nearfar.recipes.recipe import Recipe
from papers.figures import panels
from papers.momentum_contrast.setup import SOURCE
from papers.mutual_information.setup import PILOT
from papers.reproductions.contrast import Contrast, of_axis
from papers.reproductions.curves import by_epoch, by_setting
from papers.reproductions.probed import BESIDE, OURS, run, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import PROBE

BATCHES, EPOCHS = (32, 128), (2, 5, 10)
CELLS = list(product(BATCHES, EPOCHS))


def arm(batch: int, epochs: int) -> str:
    """Its name."""
    return f"batch-{batch}-epochs-{epochs}"


def setups() -> dict[str, Recipe]:
    """Every batch size with every length."""
    return {
        arm(batch, epochs): run(simclr(), batch_size=batch, epochs=epochs)
        for batch, epochs in CELLS
    }


def draw(results: pd.DataFrame) -> Figure:
    """After the last epoch, by the number of epochs; and against epochs."""
    figure, (left, right) = panels(2)
    lines = {arm(*cell): (float(cell[1]), f"batch {cell[0]}") for cell in CELLS}
    by_setting(left, results, PROBE, lines, "epochs")
    # At a constant rate a shorter run is the beginning of the longest.
    by_epoch(right, results, {arm(each, max(EPOCHS)): f"batch {each}" for each in BATCHES})
    return figure


_LARGE, _SMALL = max(BATCHES), min(BATCHES)
_SHORT, _LONG = min(EPOCHS), max(EPOCHS)
_effect = partial(of_axis, cells={arm(*cell): cell for cell in CELLS}, yardstick=PROBE)
REPRODUCTION = Reproduction(
    name="simclr_epochs_and_batches",
    title="Do longer training and larger batches help SimCLR, and one more where the other lacks?",
    source=f"Chen et al. 2020; {SOURCE}",
    published="Of SimCLR's four findings the last two: more epochs are better (66.6 after 200 and "
    "69.3 after 1000 on ImageNet), and larger batches are (61.9 with 256 and 66.6 with 8192 after "
    "200), the more so where epochs are few.",
    ours=f"{OURS} Here batches of {_SMALL} and {_LARGE} with {', '.join(map(str, EPOCHS))} epochs, "
    "at the same rate. The published sizes are of other factors of size and length and are not "
    "asked for; at equal epochs the larger batch has a quarter of the steps.",
    setups=setups,
    seeds=5,
    contrasts=(
        _effect(f"{_LONG} epochs over {_SHORT}", axis=1, better=_LONG, worse=_SHORT),
        _effect(f"batch {_LARGE} over {_SMALL}", axis=0, better=_LARGE, worse=_SMALL),
        Contrast(
            f"the larger batch's lead after {_SHORT} epochs over that after {_LONG}",
            (
                (1.0, arm(_LARGE, _SHORT)),
                (-1.0, arm(_SMALL, _SHORT)),
                (-1.0, arm(_LARGE, _LONG)),
                (1.0, arm(_SMALL, _LONG)),
            ),
            PROBE,
            None,
            1.0,
        ),
    ),
    draw=draw,
    minutes=1.1,
    pilot=PILOT,
    beside=BESIDE,
)
