"""Alignment, uniformity and distances of an encoder's features of random views."""

import numpy as np
import torch
from torch import Tensor, nn

from nearfar.analysis.geometry import ALPHA, Geometry, T, geometry
from nearfar.data.batches import evaluation_batches
from nearfar.data.source import Part
from nearfar.evaluation.features import check_finite, frozen
from nearfar.evaluation.pictures import to_uint8
from nearfar.evaluation.records import FeatureKind, Record
from nearfar.views.views import Views


def view_geometry(
    encoder: nn.Module,
    part: Part,
    views: Views,
    *,
    seed: int,
    device: torch.device,
    batch_size: int,
    workers: int,
) -> Geometry:
    """The geometry of the features of two random views of each example.

    The views are drawn on their own seed, so two encoders see the very same ones.

    Args:
        encoder: Takes examples as they are; on `device`.
        part: The examples, two or more.
        views: The views of the training.
        seed: Seeds the views and the random pairs.
        device: Where the encoder is.
        batch_size: Examples in a batch.
        workers: Processes that decode streamed images.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs: tuple[list[Tensor], list[Tensor]] = ([], [])
    batches = evaluation_batches(
        part.examples, batch_size=batch_size, device=device, workers=workers
    )
    with frozen(encoder), torch.autocast(device.type, enabled=False):
        for images, _ in batches:
            for view, features in enumerate(pairs):
                drawn = views.draw(images, generator, view, normalise=False)
                if part.modality == "images":
                    # The encoder takes 8-bit images as it does everywhere else.
                    drawn = to_uint8(drawn)
                features.append(encoder(drawn).float().flatten(1).cpu())
    first, second = (check_finite(torch.cat(p), "the features of views") for p in pairs)
    return geometry(first, second, seed=seed)


def geometry_records(found: Geometry, kind: FeatureKind) -> list[Record]:
    """Alignment and uniformity as records.

    Args:
        found: The geometry.
        kind: Of which features.
    """
    count = len(found.positive_distances)
    return [
        Record("alignment", kind, "mean", found.alignment, count, parameters={"alpha": ALPHA}),
        Record("uniformity", kind, "mean", found.uniformity, count, parameters={"t": T}),
    ]


def distance_arrays(found: Geometry, kind: FeatureKind) -> dict[str, np.ndarray]:
    """Distances of pairs under their names in `evaluation.npz`.

    Args:
        found: The geometry.
        kind: Of which features.
    """
    prefix = "" if kind == "encoder" else f"{kind}_"
    return {
        f"{prefix}positive_distances": found.positive_distances.numpy(),
        f"{prefix}random_distances": found.random_distances.numpy(),
    }
