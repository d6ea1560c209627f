"""What the studies of the fourth source share: its name, MoCo at this size, its spread."""

from dataclasses import replace

from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.unlabelled_specs import MoCoSpec
from nearfar.recipes.fonts import VIEWS
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import ScheduleSpec
from nearfar.views.specs import ViewsSpec
from papers.reproductions.probed import OURS, run
from papers.reproductions.reproduction import Pilot

SOURCE = "Safonov 2021"
MOCO = MoCoSpec(
    head="mlp",
    projection_hidden=512,
    temperature=0.2,
    queue_size=512,
    momentum=0.99,
    symmetric=True,
    batch_norm_splits=2,
)
EPOCHS, BATCH = 14, 32
"""Of MoCo, which begins to learn later than SimCLR: 3900 steps. Seven epochs of batches of 64 (a
quarter of the steps) told nothing: a pilot ended at 15 to 29 %."""
OF_MOCO = (
    f"{OURS} MoCo has {EPOCHS} epochs of batches of {BATCH}, T = 0.2, a queue of 512 keys, a "
    "momentum of 0.99, the loss in both directions, and batch-norm over halves of a batch, unless "
    "the question is of these."
)


def moco(
    method: MethodSpec, *, schedule: ScheduleSpec | None = None, views: ViewsSpec = VIEWS
) -> Recipe:
    """One run of the length that MoCo needs.

    Args:
        method: What learns.
        schedule: A constant rate, where it is left out.
        views: Of each image.
    """
    return run(method, epochs=EPOCHS, batch_size=BATCH, schedule=schedule, views=views)


def _pilot() -> dict[str, Recipe]:
    moments = (0.99, 0.9)
    return {f"momentum-{each:g}": moco(replace(MOCO, momentum=each)) for each in moments}


PILOT = Pilot("moco", _pilot)
