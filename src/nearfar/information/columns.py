"""Columns of numbers as critics and nearest neighbours take them: neither units nor outliers count.

Mutual information is the same after any one-to-one map of x alone and of z alone, and a map of each
column that keeps its order is one.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from numpy import ndarray
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor

from nearfar.information.reliability import carried_by_few

HEAVY = 0.04
"""Share of a column's values that make up half of its variance where its tails are heavy: beyond
those of an exponential variable (5 %). Student's t of 3 degrees (3.4 %) is among them: means of
exponentials blow up on its standardised columns."""


def normal_scores(values: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """`Φ⁻¹((r − ½) / n)` of each value's rank r, from 1; equal values share their mean rank.

    Args:
        values: Finite.
    """
    return ndtri((rankdata(values) - 0.5) / len(values))


class Scaled:
    """Brings rows to the scale of the samples to learn from, column by column.

    A column is standardised; one with heavy tails is taken by the normal scores of its values, and
    a value between two of the samples by a score between theirs, in a straight line. A value beyond
    all of the samples counts as the nearest of them.

    Args:
        training: Samples of the training part alone: what is estimated on the others is then a
            value of a critic that has not seen them.
    """

    def __init__(self, training: Float64[Tensor, "n features"]) -> None:
        self._columns = [_known_points(column) for column in training.numpy().T]

    def __call__(self, rows: Float64[Tensor, "m features"]) -> Float32[Tensor, "m features"]:
        """The rows, scaled."""
        scaled = np.empty(rows.shape, dtype=np.float32)
        for place, (values, scores) in enumerate(self._columns):
            scaled[:, place] = np.interp(rows[:, place].numpy(), values, scores)
        return torch.from_numpy(scaled)


def _known_points(column: Float64[ndarray, " n"]) -> tuple[ndarray, ndarray]:
    """Values of a column in rising order and what becomes of each; lines lead from one to the next.

    Of a column that is standardised these are its ends.
    """
    if carried_by_few(column, HEAVY):
        values, first = np.unique(column, return_index=True)
        return values, normal_scores(column)[first]
    largest = np.abs(column).max()
    ends = np.array([column.min(), column.max()])
    if largest == 0:
        return ends, ends
    unit = column / largest  # whose squares are finite
    spread, centre = unit.std(), unit.mean()
    return ends, (ends / largest - centre) / (spread if spread > 0 else 1.0)
