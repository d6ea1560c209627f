"""Examples that lie apart: far from their neighbours, or farther than their neighbours do."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.uses.duplicates import distances_of
from nearfar.uses.neighbors import Neighbors, Searchable

K = 20
Score = Literal["distance", "factor"]


@dataclass(frozen=True)
class Outliers:
    """How far apart each row lies.

    Attributes:
        distance: Euclidean distance on the unit sphere from the k-th nearest other row, 0 to 2
            (Ramaswamy, Rastogi and Shim 2000; Sun et al. 2022 on normalised features).
        factor: The local outlier factor (Breunig et al. 2000): about 1 inside a cluster of any
            density, above it where neighbours lie closer together than this row to them.
        neighbors: The k nearest other rows.
        by: Which of the two the rows are ordered by.
        order: Rows by falling score.
    """

    distance: Float[Tensor, " n"]
    factor: Float[Tensor, " n"]
    neighbors: Neighbors
    by: Score
    order: Int64[Tensor, " n"]

    @property
    def scores(self) -> Float[Tensor, " n"]:
        """Those that the rows are ordered by."""
        return self.distance if self.by == "distance" else self.factor


def find_outliers(
    features: Float[Tensor, "n dim"], *, k: int = K, by: Score = "distance"
) -> Outliers:
    """Scores every row by its distance from its k-th neighbour, and by its local outlier factor.

    Args:
        features: One row an example, any scale.
        k: At least 1; clipped to the rows that there are. Groups of up to k rows that lie apart
            together are found too.
        by: What the rows are ordered by.

    Raises:
        SettingError: There are fewer than two rows, or k is below 1.
        NearfarError: A feature is not finite.
    """
    if len(features) < 2:
        raise SettingError("outliers are found among two examples or more")
    near = Searchable(features).of_all(k)
    # On the unit sphere |a − b|² = 2 (1 − cosine).
    distances = (2 * distances_of(near.similarities)).sqrt()
    furthest, factor = distances[:, -1], _local_outlier_factor(near.rows, distances)
    scores = furthest if by == "distance" else factor
    order = torch.argsort(scores, descending=True, stable=True)
    return Outliers(furthest, factor, near, by, order)


def _local_outlier_factor(
    rows: Int64[Tensor, "n k"], distances: Float[Tensor, "n k"]
) -> Float[Tensor, " n"]:
    """The mean density of the neighbours over a row's own.

    A row's density is the inverse of its mean reachability distance, max(d(a, b), k-distance of b).
    """
    distances = distances.double()
    reachability = torch.maximum(distances, distances[:, -1][rows])
    density = 1 / (reachability.mean(dim=1) + 1e-10)
    return (density[rows].mean(dim=1) / density).float()
