"""Where views of the same and of different images lie on the sphere of features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.alignment_uniformity import alignment, uniformity
from nearfar.objectives.precision import unit_rows

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
