"""InfoNCE as a bound, which a batch limits, and its interpolation with TUBA, which it does not."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.estimators.nwj import require_baseline
from nearfar.estimators.scores import Scores, log_mean
from nearfar.objectives.precision import log_add, minus_log_share


def info_nce_bound(scores: Scores) -> Float[Tensor, ""]:
    """The bound of InfoNCE (van den Oord et al. 2018; Poole et al. 2019).

    `I ≥ log N − ℓ` with `ℓ = mean_i( log Σ_j e^{f_ij} − f_ii )`; the sum over all N keys includes
    x_i's own. It is equal for endless N where `f = log p(x,y) / (p(x)p(y))` plus any function of x.
    A lower bound on average for any critic that has not seen the batch, of small variance, and
    never above log N.

    Returns:
        In nats, at most `log N`. NaN where a score is NaN.
    """
    losses = minus_log_share(scores.paired, scores.unpaired_logsumexp())
    return math.log(len(scores)) - losses.mean()


def interpolated(
    scores: Scores, log_baseline: Float[Tensor, " n"], alpha: float = 0.01
) -> Float[Tensor, ""]:
    """The interpolation of InfoNCE and TUBA (Poole et al. 2019).

    With K = N − 1, a baseline `a(y) > 0`, the mean `m(y; x_1…x_K) = (1/K) Σ_k e^f(x_k,y)` over the
    batch, and `b = α m + (1 − α) a`,

        I ≥ 1 + E[ log( e^f(x_1,y) / b(y; x_1…x_K) ) ] − E[ e^f(x_1,y) / b(y; x_1…x_K) ]

    where in the first mean (x_1, y) is a true pair, and in the second no x belongs to y. Both use
    all of the batch that they may: in the first each other x is left out of m in turn. At α = 0 it
    is TUBA; at α = 1 InfoNCE of K examples, for each y among the x. A lower bound on average for
    any critic and baseline that have not seen the batch. A smaller α buys less bias, and a higher
    ceiling, `1 + log(K / α)`, with variance.

    Args:
        scores: Of N pairs.
        log_baseline: `log a(y_j)` of each y.
        alpha: Weight of the batch's own mean, 0 to 1.

    Returns:
        In nats. NaN where a score is NaN.

    Raises:
        NearfarError: The baseline is not one number for each y.
        SettingError: Alpha is out of range.
    """
    require_baseline(scores, log_baseline)
    if not 0 <= alpha <= 1:
        raise SettingError(f"alpha is {alpha}: it must be between 0 and 1")
    by_key, others = scores.swapped(), len(scores) - 1

    def mix(log_own: Tensor, log_given: Tensor) -> Tensor:
        return log_add(log_own + _log(alpha), log_given + _log(1 - alpha))

    def log_mix_with_the_pair(rows: Tensor, places: Tensor) -> Tensor:
        without_each = log_mean(leave_one_out_logsumexp(rows), others)
        mixed = mix(without_each, log_baseline[places, None].expand_as(rows))
        # What leaves out the true pair itself is no case of the first mean.
        return mixed.scatter(1, places[:, None], 0.0).sum(dim=1) / others

    of_pairs = (scores.paired - by_key.by_row(log_mix_with_the_pair)).mean()
    log_own = log_mean(by_key.unpaired_logsumexp(), others)
    return 1 + of_pairs - (log_own - mix(log_own, log_baseline)).exp().mean()


def leave_one_out_logsumexp(scores: Float[Tensor, "rows n"]) -> Float[Tensor, "rows n"]:
    """`log Σ_{k≠j} exp(s_ik)` for each row i and each j, precise where one score outweighs all.

    `log(e^L − e^s)` cancels for the largest score of a row alone, which is summed without.

    Args:
        scores: Two columns or more.
    """
    total = scores.logsumexp(dim=1, keepdim=True)
    largest = scores.argmax(dim=1, keepdim=True)
    rest = scores.scatter(1, largest, -torch.inf)
    without_each = total + torch.log1p(-(rest - total).exp())
    return without_each.scatter(1, largest, rest.logsumexp(dim=1, keepdim=True))


def _log(weight: float) -> float:
    """Its logarithm, minus infinity for 0."""
    return math.log(weight) if weight else -math.inf
