"""Alignment, uniformity and distances of an encoder's features of random views."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.data.batches import evaluation_batches
from nearfar.evaluation.features import check_finite, frozen
from nearfar.evaluation.geometry_specs import GeometrySpec
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.pictures import to_uint8
from nearfar.evaluation.records import Record
from nearfar.objectives.alignment_uniformity import alignment, uniformity
from nearfar.objectives.precision import unit_rows
from nearfar.views.views import Views

ALPHA = 2.0
"""Power of the distance in alignment (Wang & Isola 2020)."""
T = 2.0
"""Sharpness of the potential in uniformity (Wang & Isola 2020)."""


@dataclass(frozen=True)
class Geometry:
    """The geometry of features of two views of each image.

    Attributes:
        alignment: Mean squared distance of positive pairs, 0 to 4; lower is nearer.
        uniformity: Log mean Gaussian potential, the mean over the two views; lower is more even.
        positive_distances: `(n,)` Euclidean distance between the two views of an image after
            normalisation, 0 to 2.
        random_distances: `(n,)` the same between views of two different images.
    """

    alignment: float
    uniformity: float
    positive_distances: Tensor
    random_distances: Tensor


def judge(_: GeometrySpec, judged: Judged) -> Found:
    """Alignment, uniformity, and distances of pairs; nothing without views or pairs of examples."""
    if judged.views is None or len(judged.shown) < 2:
        return Found()
    kind = judged.kind
    judged.say(f"views: alignment, uniformity, distances: {kind}")
    found = _view_geometry(judged, judged.views)
    count, prefix = len(found.positive_distances), judged.prefix
    return Found(
        [
            Record("alignment", kind, "mean", found.alignment, count, parameters={"alpha": ALPHA}),
            Record("uniformity", kind, "mean", found.uniformity, count, parameters={"t": T}),
        ],
        {
            f"{prefix}positive_distances": found.positive_distances.numpy(),
            f"{prefix}random_distances": found.random_distances.numpy(),
        },
    )


def _view_geometry(judged: Judged, views: Views) -> Geometry:
    """The geometry of the features of two random views of each example on show.

    The views are drawn on their own seed, so two encoders see the very same ones.
    """
    encoder, device, part = cast(nn.Module, judged.encoder), judged.device, judged.shown
    generator = torch.Generator().manual_seed(judged.seed)
    pairs: tuple[list[Tensor], list[Tensor]] = ([], [])
    batches = evaluation_batches(
        part.examples, batch_size=judged.batch_size, device=device, workers=judged.workers
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
    return geometry(first, second, seed=judged.seed)


def geometry(
    first: Float[Tensor, "n dim"], second: Float[Tensor, "n dim"], *, seed: int = 0
) -> Geometry:
    """Alignment, uniformity and distances of pairs of views (Wang & Isola 2020).

    Args:
        first: Features of one view of each image, any scale, n ≥ 2; normalised here.
        second: Features of another view of the same images.
        seed: Seeds which images make up the random pairs.
    """
    first, second = unit_rows(first).float(), unit_rows(second).float()
    count = len(first)
    # A shift by 1 to n − 1 pairs every image with another one, each taking part once.
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return Geometry(
        alignment=float(alignment(first, second, alpha=ALPHA)),
        uniformity=float(uniformity(first, t=T) + uniformity(second, t=T)) / 2,
        positive_distances=torch.linalg.vector_norm(first - second, dim=1),
        random_distances=torch.linalg.vector_norm(first - second[partner], dim=1),
    )
