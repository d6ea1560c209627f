"""A world of ten classes on the sphere, small enough that expectations over it are plain sums."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

CLASSES = 10
DIM = 16
POINTS = 200
"""Of each class; all equally likely."""
NOISE = 0.2
"""Standard deviation of a coordinate about the class's centre, before normalisation."""


@dataclass(frozen=True)
class Population:
    """Embeddings of everything there is.

    Attributes:
        points: Unit rows, those of a class together.
    """

    points: Float[Tensor, "classes points dim"]

    def draw(
        self, classes: Int64[Tensor, " batch"], views: int, generator: torch.Generator
    ) -> list[Float[Tensor, "batch dim"]]:
        """Independent draws from the classes of a batch: true positives of each other.

        Args:
            classes: One for each example.
            views: Draws for each.
            generator: Draws them.
        """
        number = self.points.shape[1]
        return [
            self.points[classes, torch.randint(number, classes.shape, generator=generator)]
            for _ in range(views)
        ]

    def expectations(
        self, anchors: Float[Tensor, "n dim"], classes: Int64[Tensor, " n"], temperature: float
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """`E h` over the anchor's own class and over all others, with `h = e^{cosine/T}`."""
        by_class = (torch.einsum("nd,cpd->ncp", anchors, self.points) / temperature).exp().mean(2)
        own = by_class.gather(1, classes[:, None]).squeeze(1)
        return own, (by_class.sum(dim=1) - own) / (by_class.shape[1] - 1)


def population(generator: torch.Generator) -> Population:
    """Classes with random centres."""
    centres = torch.randn(CLASSES, 1, DIM, generator=generator, dtype=torch.float64)
    centres = torch.nn.functional.normalize(centres, dim=2)
    noise = torch.randn(CLASSES, POINTS, DIM, generator=generator, dtype=torch.float64)
    return Population(torch.nn.functional.normalize(centres + NOISE * noise, dim=2))
