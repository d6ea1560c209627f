"""The set-up of the first source's comparisons, at the size of two CPU cores."""

from dataclasses import replace
from typing import Any

from nearfar.data.specs import FontsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.specs import KNNSpec
from nearfar.methods.objective_specs import (
    DebiasedNegSpec,
    DebiasedPosSpec,
    NTXentSpec,
    ObjectiveSpec,
)
from nearfar.methods.specs import SimCLRSpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import DropsSpec
from nearfar.training.specs import AdamWSpec, TrainingSpec
from papers.reproductions.reproduction import Pilot

CLASSES, EPOCHS, BATCH, TEMPERATURE = 10, 10, 128, 0.5
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
    "Ours: the ten digits as 490 families of fonts draw them, no family in two parts (9000 "
    "images to learn from, 1000 held out, 5000 for test, 32 px), a ResNet of width 16, "
    f"{EPOCHS} epochs of 70 steps of {BATCH}. As the source has it: T = 0.5, τ⁺ = 0.1, Adam at a "
    "constant rate, a head of 512 and 128, kNN with k = 200 at T = 0.5. The rate is 3e-3 instead "
    "of 1e-3, for there are 700 steps instead of 4850. Digits are not mirrored and crops keep "
    "half of the area. Raw pixels, the untrained encoder and supervision on this set stand in "
    "[study_sets.md](study_sets.md)."
)


def recipe(objective: ObjectiveSpec, *, positives: int = 1, batch_size: int = BATCH) -> Recipe:
    """One run.

    Args:
        objective: What compares the views.
        positives: M: each image has one view more.
        batch_size: Images in a step; the epochs stay the same.
    """
    return Recipe(
        data=FontsSpec(characters=CLASSES, examples=15_000, test_fraction=1 / 3),
        views=replace(VIEWS, count=positives + 1),
        encoder=SmallResNetSpec(width=16),
        method=SimCLRSpec(objective=objective, projection_hidden=512, projection_dim=128),
        training=TrainingSpec(
            epochs=EPOCHS,
            batch_size=batch_size,
            optimizer=AdamWSpec(learning_rate=3e-3, weight_decay=1e-6),
            schedule=DropsSpec(warmup_share=0.0),
            knn_every=1,
            knn_vote=VOTE,
            checkpoint_every=2,
        ),
        evaluation=EvaluationSpec.by(
            KNNSpec(votes=(VOTE, (20, 0.07)), form="as-is"),
            baselines=False,
            leave_out=("few_labels", "linear_probe", "map", "gallery", "retrieval"),
        ),
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
