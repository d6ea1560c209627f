"""Runs of the sources that judge by a linear probe: their recipe, and what all of them share."""

from dataclasses import replace

from nearfar.encoders.specs import EncoderSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import NTXentSpec, ObjectiveSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import ScheduleSpec
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import ViewsSpec
from papers.reproductions import base
from papers.reproductions.base import CONSTANT, RATE
from papers.reproductions.yardstick import OUR_KNN, PROBE_TOP5

SIDE, EPOCHS, BATCH, TEMPERATURE = 24, 5, 64, 0.5
"""Of the images, in pixels; passes over them; images in a step; of SimCLR."""
OURS = (
    f"Ours: {base.IMAGES.format(SIDE)}, {EPOCHS} epochs of batches of {BATCH} unless the question "
    "is of these, Adam at a constant 3e-3 (a rate that falls learns less in so few steps), "
    f"SimCLR at T = {TEMPERATURE} with colour jitter of strength 1 and no blur. Judged by the "
    f"linear probe on all labels; our kNN stands beside. {base.SET}"
)
BLURRED = replace(VIEWS, blur=0.5)
BESIDE = (PROBE_TOP5, OUR_KNN)


def run(
    method: MethodSpec,
    *,
    epochs: int = EPOCHS,
    batch_size: int = BATCH,
    rate: float = RATE,
    schedule: ScheduleSpec | None = None,
    views: ViewsSpec = VIEWS,
    encoder: EncoderSpec | None = None,
) -> Recipe:
    """One run.

    Args:
        method: What learns.
        epochs: Passes over the images.
        batch_size: Images in a step.
        rate: The highest.
        schedule: A constant rate, where it is left out.
        views: Of each image.
        encoder: A narrow ResNet, where it is left out.
    """
    training = TrainingSpec(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=AdamWSpec(learning_rate=rate, weight_decay=1e-4),
        schedule=schedule or CONSTANT,
        knn_every=1,
        online_probe=False,
        checkpoint_every=2,
    )
    judged = base.judged_by((20, 0.07), probe=True)
    return base.recipe(method, training, judged, views=views, encoder=encoder, side=SIDE)


def simclr(
    temperature: float = TEMPERATURE, *, head: str = "mlp", objective: ObjectiveSpec | None = None
) -> SimCLRSpec:
    """SimCLR with a head of 512 and 128.

    Args:
        temperature: Of NT-Xent.
        head: mlp, linear or identity.
        objective: In place of NT-Xent.
    """
    return SimCLRSpec(
        objective=objective or NTXentSpec(temperature=temperature),
        head=head,  # pyright: ignore[reportArgumentType]  checked by the spec
        projection_hidden=512,
        projection_dim=128,
    )
