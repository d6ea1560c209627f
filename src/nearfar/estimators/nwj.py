"""Bounds that are linear in the exponentials: NWJ, and TUBA with a baseline of its own."""

from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.estimators.scores import Scores, log_mean, log_mean_exp_of_unpaired


def nwj(scores: Scores) -> Float[Tensor, ""]:
    """The bound of Nguyen, Wainwright & Jordan (2010), also called f-GAN KL and MINE-f.

    `I ≥ E_p(x,y)[f] − e⁻¹ E_p(x)p(y)[e^f]`, equal where `f = 1 + log p(x,y) / (p(x)p(y))`. The
    first mean is over the N true pairs, the second over the N(N − 1) others. The value of a batch
    is unbiased, so a lower bound on average for any critic that has not seen the batch; its
    variance grows like `e^I`, because a few scores make up the mean of `e^f`.

    Returns:
        In nats; minus infinity where an exponential overflows, NaN where a score is NaN.
    """
    return scores.paired.mean() - (log_mean_exp_of_unpaired(scores) - 1).exp()


def tuba(scores: Scores, log_baseline: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The tractable, unnormalised form of Barber and Agakov's bound (Poole et al. 2019).

    With a baseline `a(y) > 0`, which may be learned,

        I ≥ E_p(x,y)[f] − E_p(y)[ E_p(x)[e^f] / a(y) + log a(y) − 1 ]

    equal where `f = log p(x,y) / (p(x)p(y)) + log a(y)`; of a given critic, the best baseline is
    `a(y) = E_p(x)[e^f]`. With `a = e` it is NWJ, and like it unbiased.

    Args:
        scores: Of N pairs.
        log_baseline: `log a(y_j)` of each y.

    Returns:
        In nats; minus infinity where an exponential overflows, NaN where a score is NaN.

    Raises:
        NearfarError: The baseline is not one number for each y.
    """
    require_baseline(scores, log_baseline)
    log_ratio = log_mean(scores.unpaired_logsumexp_of_keys(), len(scores) - 1) - log_baseline
    return 1 + (scores.paired - log_baseline).mean() - log_ratio.exp().mean()


def require_baseline(scores: Scores, log_baseline: Tensor) -> None:
    """A number for each y."""
    if log_baseline.shape != (len(scores),):
        raise NearfarError(
            f"log_baseline must be one number for each of {len(scores)} y,"
            f" and is {tuple(log_baseline.shape)}"
        )
