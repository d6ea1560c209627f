"""How slowly MoCo's key encoder should follow."""

from dataclasses import replace
from functools import partial

from nearfar.recipes.recipe import Recipe
from papers.momentum_contrast.setup import MOCO, OF_MOCO, PILOT, SOURCE, moco
from papers.reproductions.contrast import over
from papers.reproductions.curves import epochs_and_last
from papers.reproductions.probed import BESIDE
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import OUR_KNN, PROBE

MOMENTA = (0.0, 0.9, 0.99, 0.999, 0.9999)
NAMES = {f"momentum-{each:g}": f"momentum {each:g}" for each in MOMENTA}


def setups() -> dict[str, Recipe]:
    """Every momentum."""
    return {f"momentum-{each:g}": moco(replace(MOCO, momentum=each)) for each in MOMENTA}


_over = partial(over, names=NAMES, yardstick=PROBE, interest=1.0)
REPRODUCTION = Reproduction(
    name="moco_momentum",
    title="Must MoCo's key encoder follow slowly?",
    source=SOURCE,
    published="ImageNet, linear probe after 200 epochs, momentum 0, 0.9, 0.99, 0.999 and 0.9999: "
    "does not converge, 55.2, 57.8, 59.0, 58.9.",
    ours=f"{OF_MOCO} That is 3934 steps, where the source has about a million. The key encoder "
    "follows over about 1/(1 − m) steps: 10 at 0.9, 100 at 0.99, 1000 at 0.999 and 10 000 at "
    "0.9999. So at 0.9999 it still holds two thirds of its first, random "
    "weights when the run ends; the row shows what such keys give, and whether 0.9999 is as good "
    "as 0.999 in a run that is long enough cannot be told here, so nothing is claimed of it. Of "
    "0.999 it can only be told for a run of four such times.",
    setups=setups,
    seeds=6,
    contrasts=(
        _over("momentum-0.999", "momentum-0.9", 3.8),
        _over("momentum-0.99", "momentum-0.9", 2.6),
        _over("momentum-0.9", "momentum-0", None),
    ),
    draw=epochs_and_last(NAMES, (PROBE, OUR_KNN)),
    minutes=4.5,
    pilot=PILOT,
    beside=BESIDE,
)
