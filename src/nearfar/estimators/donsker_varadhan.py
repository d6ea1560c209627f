"""The Donsker-Varadhan bound, and MINE, which corrects its gradient."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.estimators.scores import Scores, log_mean_exp_of_unpaired


def donsker_varadhan(scores: Scores) -> Float[Tensor, ""]:
    """Donsker-Varadhan's bound (1983; for critics, Belghazi et al. 2018).

    `I ≥ E_p(x,y)[f] − log E_p(x)p(y)[e^f]`, equal where `f = log p(x,y) / (p(x)p(y))` plus any
    constant. The first mean is over the N true pairs, the second over the N(N − 1) others. The
    logarithm of a mean over a sample is too small on average (Jensen), so the value of a batch is
    biased upward: it is a bound for an endless sample only.

    Returns:
        In nats. NaN where a score is NaN.
    """
    return scores.paired.mean() - log_mean_exp_of_unpaired(scores)


def mine(scores: Scores, log_moving_average: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """MINE (Belghazi et al. 2018): Donsker-Varadhan's value with another gradient.

    The gradient of `log E[e^f]` is `E[∇e^f] / E[e^f]`, which a batch estimates with bias, because
    both means are over the same sample. Here the denominator is a moving average over batches:

        ∇ mean f_ii − ∇ (mean_{i≠j} e^{f_ij}) / moving average

    Args:
        scores: Of N pairs.
        log_moving_average: Logarithm of the moving average, from `updated_log_moving_average`,
            this batch included; it takes no gradient.

    Returns:
        `donsker_varadhan(scores)`, in nats, to be maximised.
    """
    log_mean = log_mean_exp_of_unpaired(scores)
    value = log_mean.detach()
    weight = (value - log_moving_average.detach()).exp()
    return scores.paired.mean() - (value + weight * (log_mean - value))


def updated_log_moving_average(
    previous: Float[Tensor, ""] | None, scores: Scores, rate: float
) -> Float[Tensor, ""]:
    """Logarithm of the moving average of `mean e^f` over unpaired scores, after one more batch.

    `a ← (1 − rate) a + rate · mean_{i≠j} e^{f_ij}`, kept as a logarithm, which cannot overflow.

    Args:
        previous: What the last call gave, or None before the first batch.
        scores: Of this batch, to be learned from: a batch that is only evaluated has no part in it.
        rate: The batch's weight, above 0 and below 1.

    Returns:
        Without gradient.

    Raises:
        SettingError: The rate is out of range.
    """
    if not 0 < rate < 1:
        raise SettingError(f"rate is {rate}: it must be above 0 and below 1")
    log_mean = log_mean_exp_of_unpaired(scores).detach()
    if previous is None:
        return log_mean
    return torch.logaddexp(previous + math.log1p(-rate), log_mean + math.log(rate))
