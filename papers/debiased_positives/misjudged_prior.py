"""What it costs to misjudge τ⁺, the probability that another image is of the same class."""

from dataclasses import replace

from nearfar.methods.objective_specs import DebiasedNegSpec, DebiasedPosSpec
from nearfar.recipes.recipe import Recipe
from papers.debiased_positives.setup import CLASSES, LOSSES, NAMES, OURS, PILOT, SOURCE, recipe
from papers.reproductions.contrast import over
from papers.reproductions.curves import accuracy_by_epoch
from papers.reproductions.reproduction import Reproduction

TRUE = 1 / CLASSES
TRIED = (0.01, 0.05, TRUE, 0.2)
DEBIASED = ("debiased-neg", "debiased-pos")


def arm(loss: str, tau_plus: float) -> str:
    """Its name."""
    return f"{loss}-tau-{tau_plus:g}"


def setups() -> dict[str, Recipe]:
    """Both losses with every prior."""
    found = {}
    for loss in DEBIASED:
        objective = LOSSES[loss]
        assert isinstance(objective, DebiasedNegSpec | DebiasedPosSpec)
        for tau_plus in TRIED:
            found[arm(loss, tau_plus)] = recipe(replace(objective, tau_plus=tau_plus))
    return found


WORDS = {
    arm(loss, tau_plus): f"{NAMES[loss]} with {tau_plus:g}"
    for loss in DEBIASED
    for tau_plus in TRIED
}
REPRODUCTION = Reproduction(
    name="misjudged_prior",
    title="What does it cost to misjudge the share of false negatives?",
    source=f"Chuang et al. 2020; {SOURCE}",
    published="On STL-10 DebiasedNeg has 81.85 with τ⁺ = 0.05 and 84.26 with the true 0.1, against "
    "80.15 without (linear, ResNet-50, batch 256). The second source trains with the true one "
    "alone.",
    ours=OURS,
    setups=setups,
    seeds=5,
    contrasts=tuple(
        over(arm(loss, TRUE), arm(loss, tau_plus), None, WORDS)
        for loss in DEBIASED
        for tau_plus in TRIED
        if tau_plus != TRUE
    ),
    draw=lambda results: accuracy_by_epoch(
        results,
        [{arm(loss, each): f"τ⁺ = {each:g}" for each in TRIED} for loss in DEBIASED],
        [NAMES[loss] for loss in DEBIASED],
    ),
    minutes=2.0,
    pilot=PILOT,
)
