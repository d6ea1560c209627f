"""The set-up of the first source's comparisons, at the size of two CPU cores."""

from dataclasses import replace
from typing import Any

from nearfar.methods.objective_specs import (
    DebiasedNegSpec,
    DebiasedPosSpec,
    NTXentSpec,
    ObjectiveSpec,
)
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from papers.reproductions import base
from papers.reproductions.base import BATCH, CLASSES, CONSTANT, RATE
from papers.reproductions.reproduction import Pilot

EPOCHS, TEMPERATURE = 10, 0.5
VOTE = (200, 0.5)
"""The source's."""
SOURCE = "Troshestova & Isachenko 2023"
SEEDS = 10
"""For differences of one to four points, at a deviation of about one."""
LOSSES: dict[str, ObjectiveSpec] = {
    "contrastive": NTXentSpec(temperature=TEMPERATURE),
    "debiased-neg": DebiasedNegSpec(temperature=TEMPERATURE, tau_plus=1 / CLASSES),
    "debiased-pos": DebiasedPosSpec(temperature=TEMPERATURE, tau_plus=1 / CLASSES),
}
NAMES = {
    "contrastive": "contrastive",
    "debiased-neg": "DebiasedNeg",
    "debiased-pos": "DebiasedPos",
}
OURS = (
    f"Ours: {base.IMAGES.format(32)}, {EPOCHS} epochs of 70 steps of {BATCH}. As the source has "
    "it: T = 0.5, τ⁺ = 0.1, Adam at a constant rate, a head of 512 and 128, kNN with k = 200 at "
    "T = 0.5. The rate is 3e-3 instead of 1e-3, for there are 700 steps instead of 4850. "
    f"{base.SET}"
)


def recipe(objective: ObjectiveSpec, *, positives: int = 1, batch_size: int = BATCH) -> Recipe:
    """One run.

    Args:
        objective: What compares the views.
        positives: M: each image has one view more.
        batch_size: Images in a step; the epochs stay the same.
    """
    return base.recipe(
        SimCLRSpec(objective=objective, projection_hidden=512, projection_dim=128),
        TrainingSpec(
            epochs=EPOCHS,
            batch_size=batch_size,
            optimizer=AdamWSpec(learning_rate=RATE, weight_decay=1e-6),
            schedule=CONSTANT,
            knn_every=1,
            knn_vote=VOTE,
            checkpoint_every=2,
        ),
        base.judged_by(VOTE, (20, 0.07)),
        views=replace(VIEWS, count=positives + 1),
    )


def setups(*, false_positives: float = 0.0, **changes: Any) -> dict[str, Recipe]:
    """The three losses, with something changed in all of them.

    Args:
        false_positives: Probability that a second view is of another class.
        changes: Settings of the objectives.
    """
    found = {}
    for name, loss in LOSSES.items():
        each = recipe(replace(loss, **changes))
        training = replace(each.training, false_positives=false_positives)
        found[name] = replace(each, training=training)
    return found


def _pilot() -> dict[str, Recipe]:
    losses = setups()
    return {name: losses[name] for name in ("debiased-pos", "contrastive")}


PILOT = Pilot("debiased", _pilot)
