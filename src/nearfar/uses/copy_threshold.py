"""From which distance on two examples are no copies any more, told by the distances themselves."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

SHARE_OF_CHANCE = 0.05
"""Largest share of the pairs below the threshold that a set without copies would have, too."""
FITTED = (0.5, 0.95)
"""Quantiles of the distances between which ordinary neighbours are looked at."""
LEAST = 1e-6
"""Distances below are those of equal features, as far as float32 can tell."""
FEW = 20
"""Distances that tell nothing of their distribution."""


@dataclass(frozen=True)
class Suggestion:
    """A threshold and why.

    Attributes:
        threshold: Largest distance of a copy, 1 − cosine.
        reason: In words, with the figures.
        shape: Of the Weibull distribution of ordinary neighbours; NaN where none was fitted.
        scale: Likewise, a distance.
        ordinary: How many rows are ordinary, by the same fit.
        below: Rows whose nearest other is within the threshold.
        expected: Rows of which this would be so without copies.
    """

    threshold: float
    reason: str
    shape: float
    scale: float
    ordinary: float
    below: int
    expected: float

    def density(self, distances: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Ordinary rows over the logarithm (base 10) of the distance."""
        powers = (distances / self.scale) ** self.shape
        return self.ordinary * np.log(10) * self.shape * powers * np.exp(-powers)


def suggested_threshold(nearest: Float[Tensor, " n"]) -> Suggestion:
    """The largest distance at which nearest neighbours are far more than ordinary ones would be.

    The distance to the nearest of many independent points in m dimensions has a Weibull
    distribution, P(d ≤ t) = 1 − exp(−(t/s)^a), a = m/2 for 1 − cosine: the smallest of many. Copies
    come on top of it at the small end. So a and s are read off the upper half of the distances,
    where up to half of all rows having copies changes nothing, and the threshold is the largest t
    below their median at which n·P(d ≤ t), what a set without copies would have, is at most a
    twentieth of the rows that are there. Dense corners of a set look like copies to any such rule,
    and to a person who looks at the page they do not: the threshold is a beginning.

    Args:
        nearest: Distance of each row from its nearest other, 1 − cosine.
    """
    distances = np.sort(nearest.double().cpu().numpy())
    count = len(distances)
    equal = int((distances <= LEAST).sum())
    if count < FEW or distances[count // 2] <= LEAST:
        return Suggestion(
            LEAST,
            f"{count} examples, half of them equal or too few to tell ordinary neighbours by: only "
            "equal features are copies",
            np.nan,
            np.nan,
            0.0,
            equal,
            0.0,
        )
    shape, scale, rows = _weibull(distances)
    ordinary = rows * -np.expm1(-((distances / scale) ** shape))
    ranks = np.arange(1, count + 1)
    good = (ordinary <= SHARE_OF_CHANCE * ranks) & (ranks <= count // 2)
    if not good.any() or distances[good.nonzero()[0][-1]] <= LEAST:
        return Suggestion(
            LEAST,
            f"no distance has many more neighbours than chance would give: of {count:,} nearest "
            f"neighbours {equal:,} are equal, and the others lie as those of a set without copies",
            shape,
            scale,
            rows,
            equal,
            0.0,
        )
    last = int(good.nonzero()[0][-1])
    threshold = float(distances[last])
    return Suggestion(
        threshold,
        f"{last + 1:,} of {count:,} examples have a nearest neighbour within {threshold:.2g}; of a "
        f"set without copies about {ordinary[last]:.1f} would",
        shape,
        scale,
        rows,
        last + 1,
        float(ordinary[last]),
    )


def _weibull(distances: Float[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Shape, scale and number of the ordinary neighbours, of whom the upper half is seen.

    Maximum likelihood given that a distance lies above the lower quantile, what lies above the
    upper one counted as that: how many copies there are below does not matter.
    """
    low, high = np.quantile(distances, FITTED)
    inside = distances[(distances >= low) & (distances <= high)]
    above = int((distances > high).sum())
    middle = float(np.median(inside))
    logs = np.log(inside / middle)

    def loss(logged: np.ndarray) -> float:
        shape, ratio = np.exp(logged)  # the scale as a multiple of the middle

        def power(distance: float) -> float:
            return np.exp(min(shape * np.log(max(distance, 1e-300) / middle / ratio), 700.0))

        scaled = shape * (logs - np.log(ratio))
        powers = np.exp(np.minimum(scaled, 700.0))
        fitted = len(inside) * np.log(shape) + scaled.sum() - powers.sum()
        return -(fitted - above * power(high) + (len(inside) + above) * power(low))

    start = np.log([2.0, 1.1])
    found = minimize(loss, start, method="Nelder-Mead", bounds=[(-3.0, 5.3), (-5.0, 5.0)])
    shape, ratio = np.exp(found.x)
    scale = float(middle * ratio)
    seen = (len(inside) + above) * np.exp(min((low / scale) ** shape, 700.0))
    return float(shape), scale, float(min(seen, len(distances)))


def histogram(
    nearest: Float[Tensor, " n"], bins: int = 60
) -> tuple[Float[np.ndarray, " edges"], Float[np.ndarray, " bins"]]:
    """Counts of distances over their logarithm; what is equal stands in the first bin.

    Args:
        nearest: 1 − cosine.
        bins: How many.

    Returns:
        Edges, as powers of ten, and the rows in each bin.
    """
    values = nearest.double().cpu().numpy().clip(min=LEAST)
    edges = np.linspace(np.log10(LEAST), np.log10(max(values.max(), 10 * LEAST)), bins + 1)
    counts, _ = np.histogram(np.log10(values), edges)
    return edges, counts.astype(float)
