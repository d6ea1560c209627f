"""Which examples to label first, when there are no labels yet."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans, MiniBatchKMeans
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.uses.neighbors import Searchable

Choice = Literal["typicality", "k-centre"]
CHOICES: tuple[Choice, ...] = ("typicality", "k-centre")

_TYPICAL_K = 20
_MOST_CLUSTERS = 500
_SMALL = 20_000
"""Rows from which on clusters are found from batches of them."""


def select(
    features: Float[Tensor, "n dim"],
    count: int,
    *,
    by: Choice = "typicality",
    seed: int = 0,
) -> Int64[Tensor, " count"]:
    """Rows to label first; the first ones of a longer list need not be those of a shorter one.

    `typicality` (Hacohen, Dekel and Weinshall 2022) takes the row in the densest place of each of
    as many clusters: for few labels. `k-centre` (Gonzalez 1985; Sener and Savarese 2018) takes, one
    after the other, the row that lies farthest from all that were taken: it covers the outskirts
    and outliers too, which serves where many labels are to come.

    Args:
        features: One row an example, any scale.
        count: How many rows; 1 to n.
        by: How.
        seed: Of the clusters.

    Raises:
        SettingError: The count is not from 1 to the rows that there are.
        NearfarError: A feature is not finite.
    """
    if not 1 <= count <= len(features):
        raise SettingError(f"{count} of {len(features)} examples: choose 1 or more, and not more")
    searchable = Searchable(features)
    if by == "k-centre":
        return _far_apart(searchable.units, count)
    return _typical(searchable, count, seed)


def _far_apart(units: Float[Tensor, "n dim"], count: int) -> Int64[Tensor, " count"]:
    """The farthest row from all that were taken, again and again; twice the best radius at most.

    The first is the row nearest to the mean, so that no outlier begins.
    """
    mean = units.mean(dim=0)
    chosen = [int((units @ mean).argmax())]
    nearest = torch.full((len(units),), -torch.inf)
    taken = torch.zeros(len(units), dtype=torch.bool)
    while len(chosen) < count:
        taken[chosen[-1]] = True
        nearest = torch.maximum(nearest, units @ units[chosen[-1]])
        # Copies of what was taken come last, but come: each row is taken once.
        chosen.append(int(torch.where(taken, torch.inf, nearest).argmin()))
    return torch.tensor(chosen)


def _typical(searchable: Searchable, count: int, seed: int) -> Int64[Tensor, " count"]:
    """From the largest clusters first, the row with the nearest neighbours."""
    units = searchable.units
    if len(units) == 1:
        return torch.zeros(1, dtype=torch.int64)
    near = searchable.of_all(_TYPICAL_K)
    distances = (2 * (1 - near.similarities).clamp(min=0)).sqrt().mean(dim=1).numpy()
    clusters = _clusters(units.numpy(), min(count, _MOST_CLUSTERS), seed)
    members = [np.flatnonzero(clusters == each) for each in np.unique(clusters)]
    # In each the most typical first; small clusters, often of outliers, last.
    queues = [rows[np.lexsort((rows, distances[rows]))].tolist() for rows in members]
    queues.sort(key=lambda rows: (-len(rows), rows))
    chosen: list[int] = []
    for turn in range(max(map(len, queues))):
        chosen += [rows[turn] for rows in queues if turn < len(rows)]
        if len(chosen) >= count:
            break
    return torch.tensor(chosen[:count])


def _clusters(units: Float[np.ndarray, "n dim"], count: int, seed: int) -> np.ndarray:
    """The cluster of each row."""
    if len(units) <= _SMALL:
        count = min(count, len(np.unique(units, axis=0)))  # scikit-learn warns of empty clusters
        return KMeans(count, n_init="auto", random_state=seed).fit_predict(units)
    batched = MiniBatchKMeans(count, n_init="auto", batch_size=4096, random_state=seed)
    return batched.fit_predict(units)
