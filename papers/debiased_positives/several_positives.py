"""Several positives of an image: two against one, grouped against combined, and four."""

from dataclasses import replace

from nearfar.methods.objective_specs import DebiasedPosSpec, ObjectiveSpec
from papers.debiased_positives.setup import BATCH, LOSSES, OURS, PILOT, SEEDS, SOURCE, recipe
from papers.reproductions.contrast import over
from papers.reproductions.curves import drawing
from papers.reproductions.reproduction import Reproduction

SMALL_BATCH = BATCH // 8
"""An eighth of the other runs', as the source's 64 is of 512."""
NAMES = {
    "pos-1": "DebiasedPos, M = 1",
    "contrastive-2": "contrastive, M = 2",
    "neg-2": "DebiasedNeg, M = 2",
    "pos-2-grouping": "grouping, M = 2",
    "pos-2-combination": "combination, M = 2",
    "pos-1-small": f"M = 1, batch {SMALL_BATCH}",
    "pos-2-small": f"combination, M = 2, batch {SMALL_BATCH}",
    "pos-4-grouping-small": f"grouping, M = 4, batch {SMALL_BATCH}",
    "pos-4-combination-small": f"combination, M = 4, batch {SMALL_BATCH}",
    "pos-4-combination": "combination, M = 4",
}


def _positive(positives: str) -> ObjectiveSpec:
    loss = LOSSES["debiased-pos"]
    assert isinstance(loss, DebiasedPosSpec)
    return replace(loss, positives=positives)


GROUPING, COMBINATION = _positive("grouping"), _positive("combination")


def _drawn(*arms: str) -> dict[str, str]:
    return {arm: NAMES[arm] for arm in arms}


_TWO = ("pos-1", "contrastive-2", "neg-2", "pos-2-grouping", "pos-2-combination")
TWO = Reproduction(
    name="two_positives",
    title="Are two positives better than one?",
    source=SOURCE,
    published="CIFAR-10, kNN with k = 200 at T = 0.5 after 50 epochs: DebiasedPos 76.8 with one "
    "positive, 80.1 with two grouped, 80.5 with two combined; contrastive 78.4 and DebiasedNeg "
    "78.9 with two.",
    ours=f"{OURS} M = 2 has three views of each image and so half as much work again.",
    setups=lambda: {
        "pos-1": recipe(GROUPING),
        "contrastive-2": recipe(LOSSES["contrastive"], positives=2),
        "neg-2": recipe(LOSSES["debiased-neg"], positives=2),
        "pos-2-grouping": recipe(GROUPING, positives=2),
        "pos-2-combination": recipe(COMBINATION, positives=2),
    },
    seeds=SEEDS,
    contrasts=(
        over("pos-2-combination", "pos-1", 3.7, NAMES),
        over("pos-2-grouping", "pos-1", 3.3, NAMES),
        over("pos-2-combination", "pos-2-grouping", 0.4, NAMES),
        over("pos-2-combination", "contrastive-2", 2.1, NAMES),
        over("neg-2", "contrastive-2", 0.5, NAMES),
    ),
    draw=drawing(_drawn(*_TWO), "one and two positives"),
    minutes=2.8,
    pilot=PILOT,
)

_FOUR = (
    "pos-1-small",
    "pos-2-small",
    "pos-4-grouping-small",
    "pos-4-combination-small",
    "pos-4-combination",
)
FOUR = Reproduction(
    name="four_positives",
    title="Are four positives better than one, at the same batch?",
    source=SOURCE,
    published="With four positives it trains in batches of 64 instead of 512: 81.75 grouped, 82.44 "
    "combined, against 76.8 with one positive in batches of 512. Batch and M change together; no "
    "run tells which of the two it was.",
    ours=f"{OURS} Here M = 1 and 2 are trained in the small batches too, and M = 4 in large ones.",
    setups=lambda: {
        "pos-1-small": recipe(GROUPING, batch_size=SMALL_BATCH),
        "pos-2-small": recipe(COMBINATION, positives=2, batch_size=SMALL_BATCH),
        "pos-4-grouping-small": recipe(GROUPING, positives=4, batch_size=SMALL_BATCH),
        "pos-4-combination-small": recipe(COMBINATION, positives=4, batch_size=SMALL_BATCH),
        "pos-4-combination": recipe(COMBINATION, positives=4),
    },
    seeds=5,
    contrasts=(
        over("pos-4-combination-small", "pos-1-small", None, NAMES),
        over("pos-4-combination-small", "pos-2-small", None, NAMES),
        over("pos-4-combination-small", "pos-4-combination", None, NAMES),
        over("pos-4-combination-small", "pos-4-grouping-small", 0.7, NAMES),
    ),
    draw=drawing(_drawn(*_FOUR), "one, two and four positives"),
    minutes=4.5,
    pilot=PILOT,
)
