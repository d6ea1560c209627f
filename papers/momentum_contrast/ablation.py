"""From MoCo v1 to v2, one change at a time."""

from dataclasses import replace
from functools import partial

from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec, DropsSpec
from papers.momentum_contrast.setup import EPOCHS, MOCO, OF_MOCO, PILOT, SOURCE, moco
from papers.reproductions.contrast import over
from papers.reproductions.curves import epochs_and_last
from papers.reproductions.probed import BESIDE, BLURRED
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import OUR_KNN, PROBE

V1 = replace(MOCO, head="linear", projection_hidden=None)
DROPS = DropsSpec(warmup_share=0.0, epochs=(0.6 * EPOCHS, 0.8 * EPOCHS))
COSINE = CosineSpec(warmup_share=0.0)
NAMES = {
    "v1": "v1",
    "mlp": "v1, MLP head",
    "blur": "v1, blur",
    "mlp-blur": "v1, MLP head, blur",
    "v2": "v2: also the cosine",
}


def setups() -> dict[str, Recipe]:
    """v1, each change, and all."""
    return {
        "v1": moco(V1, schedule=DROPS),
        "mlp": moco(MOCO, schedule=DROPS),
        "blur": moco(V1, schedule=DROPS, views=BLURRED),
        "mlp-blur": moco(MOCO, schedule=DROPS, views=BLURRED),
        "v2": moco(MOCO, schedule=COSINE, views=BLURRED),
    }


_over = partial(over, names=NAMES, yardstick=PROBE, interest=1.0)
REPRODUCTION = Reproduction(
    name="moco_v2_ablation",
    title="What makes MoCo v2 better than v1?",
    source=f"Chen et al. 2020; {SOURCE}",
    published="ImageNet, linear probe after 200 epochs: v1 60.6, v2 67.5. Between them lie an MLP "
    "head, blur (aug+) and a cosine in place of two drops of the rate, and each is said to help; "
    "no size of one alone is quoted here.",
    ours=f"{OF_MOCO} The rate drops to a tenth after three and after four fifths of the training, "
    "as v1's does, or follows half a cosine. T = 0.2 in all arms (v1 has 0.07 and v2 0.2), so that "
    "each differs from its neighbour in one thing. Views are those of SimCLR here in all arms.",
    setups=setups,
    seeds=3,
    contrasts=(
        _over("v2", "v1", 6.9),
        _over("mlp", "v1", None),
        _over("blur", "v1", None),
        _over("v2", "mlp-blur", None),
    ),
    draw=epochs_and_last(NAMES, (PROBE, OUR_KNN)),
    minutes=4.5,
    pilot=PILOT,
    beside=BESIDE,
)
