"""PaCo's α: from next to nothing, where it is a classifier, to the weight of the centre."""

from dataclasses import replace
from functools import partial

from nearfar.methods.labelled_specs import PaCoSpec
from nearfar.recipes.recipe import Recipe
from papers.paco.drawing import by_alpha
from papers.paco.setup import (
    ALPHA,
    KNN,
    METHODS,
    OURS,
    OWN,
    PILOT,
    PROBE,
    SOURCE,
    TAIL,
    arm,
    recipe,
)
from papers.reproductions.contrast import Contrast, over
from papers.reproductions.reproduction import Reproduction

NEAR_0 = 1e-4
TRIED = (NEAR_0, 0.01, ALPHA, 1.0)
LIMIT = arm("balanced-softmax", TAIL)


def arm_of(alpha: float) -> str:
    """Its name."""
    return f"paco-alpha-{alpha:g}"


def setups() -> dict[str, Recipe]:
    """PaCo with every α, and what it is without samples."""
    paco = METHODS["paco"]
    assert isinstance(paco, PaCoSpec)
    tried = {arm_of(alpha): recipe(replace(paco, alpha=alpha), TAIL) for alpha in TRIED}
    return tried | {LIMIT: recipe(METHODS["balanced-softmax"], TAIL)}


NAMES = {arm_of(alpha): f"α = {alpha:g}" for alpha in TRIED} | {LIMIT: "balanced softmax"}
REPRODUCTION = Reproduction(
    name="paco_alpha",
    title="How much should a sample weigh beside its class's centre?",
    source=SOURCE,
    published="α between 0 and 1 goes from cross-entropy, which knows centres alone, to supervised "
    "contrast in which a centre weighs no more than a sample. The source trains with 0.01 on "
    "CIFAR-100 and with 0.05 on ImageNet; that this is better than either end is the claim.",
    ours=f"{OURS} Near 0 no sample is a positive any more, but all are still negatives, as the "
    "source has it: the limit is balanced softmax once the centres' logits outgrow them.",
    setups=setups,
    seeds=3,
    contrasts=(
        over(arm_of(ALPHA), arm_of(1.0), None, NAMES, yardstick=PROBE, interest=1.0),
        over(arm_of(ALPHA), arm_of(NEAR_0), None, NAMES, yardstick=PROBE, interest=1.0),
        Contrast(
            f"α = {NEAR_0:g} and balanced softmax",
            ((1.0, arm_of(NEAR_0)), (-1.0, LIMIT)),
            PROBE,
            published=None,
            interest=2.0,
            alike=True,
        ),
    ),
    draw=partial(by_alpha, alphas={arm_of(alpha): alpha for alpha in TRIED}, limit=LIMIT),
    minutes=1.9,
    pilot=PILOT,
    beside=(KNN, OWN),
)
