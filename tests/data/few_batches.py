"""Batches of four of a part, on the CPU, in an order that is always the same."""

from typing import Any

from nearfar.data.batches import TrainingBatches
from nearfar.data.source import Part


def few_batches(part: Part, **settings: Any) -> TrainingBatches:
    """Those of `part`, with what else `TrainingBatches` takes."""
    return TrainingBatches(
        part.examples, part.labels, batch_size=4, seed=3, device="cpu", **settings
    )
