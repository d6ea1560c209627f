"""The recipe for rendered rooms, judged by their depths and masks. Imports nothing heavy."""

from nearfar.data.dense_specs import ScenesSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.dense_specs import DepthSpec, SegmentationSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import NTXentSpec, ObjectiveSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.known import Duration, Family, Figure, measured, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec

SCENES = Family(
    "Rendered rooms with known depth and masks",
    data="They are rendered when they are first needed, in seconds, and kept. After `make clipart` "
    "their textures are drawings, else noise, which is what the figures are of.",
    hardware="two CPU cores",
    setup="A small ResNet of width 16 on 2400 rooms at 64 px; depth and masks are learnt by heads "
    "on frozen maps, and depth by whole networks beside them, and judged on 600 other rooms.",
)
_THREAD = "one thread of a busy AMD EPYC with bf16"
_FROZEN: dict[str, int | float | str] = {"head": "linear", "trained": "head"}


def scenes_setup(objective: ObjectiveSpec) -> Recipe:
    """SimCLR's two views of each room, compared by an objective.

    Args:
        objective: By which.
    """
    return Recipe(
        data=ScenesSpec(textures="noise", examples=3000),
        # Large crops and no blur: a room has small things in it.
        views=SimCLRViewsSpec(crop_scale=(0.3, 1.0), jitter_strength=0.5, blur=0.0),
        encoder=SmallResNetSpec(width=16),
        method=SimCLRSpec(objective=objective, projection_hidden=256, projection_dim=64),
        training=TrainingSpec(
            epochs=16, batch_size=64, optimizer=AdamWSpec(learning_rate=3e-3), knn_every=0
        ),
        evaluation=EvaluationSpec.by(
            DepthSpec(epochs=8, learning_rates=(3e-3,), whole_network=True, heads=("linear",)),
            SegmentationSpec(epochs=8, learning_rates=(1e-2,)),
        ),
    )


@recipe(
    SCENES,
    measured(
        Figure("mean_iou", 42.0, 1.6, untrained=30.5, raw=12.3, parameters=_FROZEN),
        Figure(
            "depth_within",
            47.1,
            0.2,
            untrained=43.7,
            raw=31.7,
            parameters={"within": 1.25} | _FROZEN,
        ),
        examples=600,
        seeds=(0, 1, 2),
    ),
    Duration(303.0, _THREAD, "5.6 minutes of one core with evaluation and report"),
)
def simclr_scenes() -> Recipe:
    """SimCLR on rooms: what it knows of depth and of things without being told."""
    return scenes_setup(NTXentSpec(temperature=0.2))
