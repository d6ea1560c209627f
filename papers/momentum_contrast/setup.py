"""What the studies of the fourth source share: its name, MoCo at this size, its spread."""

from dataclasses import replace

from nearfar.methods.specs import MoCoSpec
from nearfar.recipes.recipe import Recipe
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
EPOCHS = 7
"""Of MoCo, which begins to learn later than SimCLR."""
OF_MOCO = (
    f"{OURS} MoCo has {EPOCHS} epochs, T = 0.2, a queue of 512 keys, a momentum of 0.99, the loss "
    "in both directions, and batch-norm over halves of a batch, unless the question is of these."
)


def _pilot() -> dict[str, Recipe]:
    moments = (0.99, 0.9)
    return {
        f"momentum-{each:g}": run(replace(MOCO, momentum=each), epochs=EPOCHS) for each in moments
    }


PILOT = Pilot("moco", _pilot)
