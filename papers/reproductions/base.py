"""The set-up that the reproductions share: each changes of it the one thing that it asks about."""

from nearfar.data.font_specs import FontsSpec
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import DropsSpec
from nearfar.training.specs import TrainingSpec, Vote
from nearfar.views.specs import ViewsSpec

CLASSES, BATCH, RATE = 10, 128, 3e-3
"""Digits; images in a step; Adam's rate."""
CONSTANT = DropsSpec(warmup_share=0.0)
"""The rate from the first step to the last."""
IMAGES = (
    "the ten digits as 515 families of fonts draw them, no family in two parts (9000 images to "
    "learn from, 1000 held out, 5000 for test, {} px), a ResNet of width 16"
)
"""What is learnt from, and by what, in words; the side of the images is left open."""
SET = (
    "Digits are not mirrored and crops keep half of the area. Raw pixels, the untrained encoder "
    "and supervision on this set stand in [study_sets.md](study_sets.md)."
)
_SLOW = ("few_labels", "linear_probe", "map", "gallery", "retrieval")


def recipe(
    method: MethodSpec,
    training: TrainingSpec,
    evaluation: EvaluationSpec,
    *,
    views: ViewsSpec = VIEWS,
    encoder: EncoderSpec | None = None,
    side: int = 32,
) -> Recipe:
    """One run.

    Args:
        method: What learns.
        training: How.
        evaluation: What judges.
        views: Of each image.
        encoder: A narrow ResNet, where it is left out.
        side: Of the images, in pixels.
    """
    return Recipe(
        data=FontsSpec(characters=CLASSES, examples=15_000, test_fraction=1 / 3, image_size=side),
        views=views,
        encoder=encoder or SmallResNetSpec(width=16),
        method=method,
        training=training,
        evaluation=evaluation,
    )


def judged_by(*votes: Vote, probe: bool = False, baselines: bool = False) -> EvaluationSpec:
    """KNN of features as they are, and the linear probe where a source judges by it.

    Args:
        votes: Neighbours k and temperature T of each vote.
        probe: Whether the linear probe judges too.
        baselines: Whether raw pixels and the untrained encoder are judged beside.
    """
    left_out = tuple(each for each in _SLOW if not (probe and each == "linear_probe"))
    return EvaluationSpec.by(
        KNNSpec(votes=votes, form="as-is"), baselines=baselines, leave_out=left_out
    )
