"""What a critic says of N examples, each paired with its own and with all the others' partners.

A critic f gives a score to every pair of an x and a y: `f_ij = f(x_i, y_j)`. The N true pairs are
`f_ii`; the N(N − 1) others stand for independent x and y. Bounds ask for the same few sums over
either, and never how the scores are held.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_pairs, require_several
from nearfar.objectives.precision import in_full_precision, nan_if_infinite, without_autocast
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.softplus import softplus_sum
from nearfar.similarity.transformable import computed_again

# Of scores that a separable critic holds at once where they do not come from similarity/; what is
# asked of a block may stack two of its size.
_BLOCK_ELEMENTS = 2**19
# Above it softplus(x) is x to the last bit of float64.
_LINEAR_ABOVE = 40.0

RowStatistic = Callable[
    [Float[Tensor, "rows n"], Int[Tensor, " rows"]],
    Float[Tensor, " rows"],
]
"""A number for each of some rows, from their scores with all keys and the place of their own."""


class Scores(ABC):
    """Scores of N pairs, `f_ij = f(x_i, y_j)`, N at least 2, in float32 or float64.

    Attributes:
        paired: `f_ii`, the scores of the true pairs, `(n,)`.
    """

    paired: Tensor

    def __len__(self) -> int:
        return len(self.paired)

    @abstractmethod
    def unpaired_logsumexp(self) -> Float[Tensor, " n"]:
        """For each x_i, `log Σ_{j≠i} exp(f_ij)`."""

    def unpaired_logsumexp_of_keys(self) -> Float[Tensor, " n"]:
        """For each y_j, `log Σ_{i≠j} exp(f_ij)`."""
        return self.swapped().unpaired_logsumexp()

    @abstractmethod
    def unpaired_softplus(self) -> Float[Tensor, " n"]:
        """For each x_i, `Σ_{j≠i} log(1 + exp(f_ij))`."""

    @abstractmethod
    def by_row(self, statistic: RowStatistic) -> Float[Tensor, " n"]:
        """For each x_i, a statistic of all its scores, for what no sum above gives.

        Args:
            statistic: Called with the scores `(rows, n)` of some rows and the place `(rows,)` of
                each one's own key, once or more; pure, because it may be called again for the
                gradient.
        """

    @abstractmethod
    def swapped(self) -> "Scores":
        """The same scores with x and y in each other's place."""

    def _places(self) -> Int[Tensor, " n"]:
        """The place of each x's own y."""
        return torch.arange(len(self), device=self.paired.device)


class ScoreMatrix(Scores):
    """Scores as a matrix, of any critic; memory grows with the square of N.

    Args:
        matrix: `matrix[i, j] = f(x_i, y_j)`, of any float type. Minus infinity is the score of a
            pair that cannot be; plus infinity is taken for NaN, because a bound would hide it.

    Raises:
        NearfarError: It is not square, or N is below 2.
    """

    def __init__(self, matrix: Float[Tensor, "x y"]) -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise NearfarError(
                "scores must be (n, n), every x with every y, the true pairs on the diagonal,"
                f" and are {tuple(matrix.shape)}"
            )
        require_several(matrix, "a bound on mutual information")
        scores = in_full_precision(matrix)
        self.matrix: Tensor = scores.masked_fill(scores == torch.inf, torch.nan)
        self.paired: Tensor = self.matrix.diagonal()

    def unpaired_logsumexp(self) -> Float[Tensor, " n"]:
        """For each x_i, `log Σ_{j≠i} exp(f_ij)`."""
        return without_own(self.matrix, self._places(), -torch.inf).logsumexp(dim=1)

    def unpaired_softplus(self) -> Float[Tensor, " n"]:
        """For each x_i, `Σ_{j≠i} log(1 + exp(f_ij))`."""
        terms = F.softplus(self.matrix, threshold=_LINEAR_ABOVE)
        return without_own(terms, self._places(), 0.0).sum(dim=1)

    def by_row(self, statistic: RowStatistic) -> Float[Tensor, " n"]:
        """For each x_i, a statistic of all its scores."""
        return statistic(self.matrix, self._places())

    def swapped(self) -> "ScoreMatrix":
        """The same scores with x and y in each other's place."""
        return ScoreMatrix(self.matrix.T)


class SeparableScores(Scores):
    """Scores `f(x_i, y_j) = g(x_i) · h(y_j)`, never all held: memory grows with N.

    The sums are those of `nearfar.similarity`, computed as its `computing()` says.

    Args:
        queries: `g(x_i)`, of any float type; not normalised here.
        keys: `h(y_i)`, the partner of row i of `queries`. Infinity is taken for NaN.

    Raises:
        NearfarError: The shapes differ, or N is below 2.
    """

    def __init__(self, queries: Float[Tensor, "x dim"], keys: Float[Tensor, "y dim"]) -> None:
        require_pairs(queries, keys)
        require_several(queries, "a bound on mutual information")
        self.queries: Tensor = nan_if_infinite(queries)
        self.keys: Tensor = nan_if_infinite(keys)
        self.paired: Tensor = (self.queries * self.keys).sum(dim=1)

    def unpaired_logsumexp(self) -> Float[Tensor, " n"]:
        """For each x_i, `log Σ_{j≠i} exp(f_ij)`."""
        return logsumexp(self.queries, self.keys, pairs=Pairs.all_but_own(self.queries))

    def unpaired_softplus(self) -> Float[Tensor, " n"]:
        """For each x_i, `Σ_{j≠i} log(1 + exp(f_ij))`."""
        return softplus_sum(self.queries, self.keys, pairs=Pairs.all_but_own(self.queries))

    def by_row(self, statistic: RowStatistic) -> Float[Tensor, " n"]:
        """For each x_i, a statistic of all its scores, held for a few rows at a time."""

        def of_block(queries: Tensor, keys: Tensor, places: Tensor) -> Tensor:
            with without_autocast(queries):
                return statistic(queries @ keys.T, places)

        rows = max(1, _BLOCK_ELEMENTS // len(self))
        blocks = zip(self.queries.split(rows), self._places().split(rows), strict=True)
        return torch.cat(
            [
                # The backward pass computes a block's scores again instead of keeping them.
                computed_again(of_block, block, self.keys, places)
                for block, places in blocks
            ]
        )

    def swapped(self) -> "SeparableScores":
        """The same scores with x and y in each other's place."""
        return SeparableScores(self.keys, self.queries)


def without_own(
    scores: Float[Tensor, "rows n"], places: Int[Tensor, " rows"], instead: float
) -> Float[Tensor, "rows n"]:
    """The scores with a number in the place of each row's true pair.

    Args:
        scores: Of some rows with all keys.
        places: The column of each row's own key.
        instead: What a sum is to find there: 0, or minus infinity before an exponential.
    """
    return scores.scatter(1, places[:, None], instead)


def log_mean_exp_of_unpaired(scores: Scores) -> Float[Tensor, ""]:
    """`log (1 / N(N−1)) Σ_{i≠j} exp(f_ij)`, the estimate of `log E[e^f]` over independent pairs."""
    n = len(scores)
    return log_mean(scores.unpaired_logsumexp().logsumexp(dim=0), n * (n - 1))


def log_mean(log_sum: Float[Tensor, "*shape"], count: int) -> Float[Tensor, "*shape"]:
    """`log(sum / count)` of a sum of so many terms, given as its logarithm."""
    return log_sum - math.log(count)
