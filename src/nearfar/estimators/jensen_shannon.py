"""Critics trained on the Jensen-Shannon divergence, and what can be read from them in nats."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nearfar.estimators.scores import Scores, log_mean, log_mean_exp_of_unpaired, without_own
from nearfar.objectives.checks import require_positive


def jensen_shannon(scores: Scores) -> Float[Tensor, ""]:
    """The Jensen-Shannon objective (Nowozin et al. 2016; Hjelm et al. 2019, equation 4).

    `E_p(x,y)[−softplus(−f)] − E_p(x)p(y)[softplus(f)]`: the log-likelihood of telling true pairs
    from others. It is at most `2 JSD(p(x,y) ‖ p(x)p(y)) − log 4`, reached where
    `f = log p(x,y) / (p(x)p(y))`, and no estimate of mutual information: bounded terms make for a
    steady training, and the critic is then read by `jensen_shannon_information` or `smile`.

    Returns:
        At most 0, to be maximised; `−log 4` where all scores are 0.
    """
    n = len(scores)
    of_pairs = F.logsigmoid(scores.paired).mean()
    return of_pairs - scores.unpaired_softplus().sum() / (n * (n - 1))


def jensen_shannon_information(scores: Scores) -> Float[Tensor, ""]:
    """Mutual information read from a critic of the Jensen-Shannon objective (Poole et al. 2019).

    Its optimum is `f = log p(x,y) / (p(x)p(y))`, and NWJ's is that plus 1, so that

        I ≥ 1 + E_p(x,y)[f] − E_p(x)p(y)[e^f]

    is NWJ's bound of `f + 1`: a lower bound on average for any critic, with NWJ's variance.

    Returns:
        In nats; minus infinity where an exponential overflows, NaN where a score is NaN.
    """
    return 1 + scores.paired.mean() - log_mean_exp_of_unpaired(scores).exp()


def smile(scores: Scores, *, clip: float = 5.0) -> Float[Tensor, ""]:
    """SMILE (Song & Ermon 2020): Donsker-Varadhan with a clipped denominator.

    `E_p(x,y)[f] − log E_p(x)p(y)[ min(max(e^f, e^−clip), e^clip) ]` of a critic trained by
    `jensen_shannon`. A small clip takes variance away and brings bias in, of either sign: this is
    no bound. Where no score is clipped it is Donsker-Varadhan's.

    Args:
        scores: Of N pairs.
        clip: In nats, above 0.

    Returns:
        In nats. NaN where a score is NaN.

    Raises:
        SettingError: The clip is not above 0.
    """
    require_positive("clip", clip)

    def clipped_logsumexp(rows: Tensor, places: Tensor) -> Tensor:
        return without_own(rows.clamp(-clip, clip), places, -float("inf")).logsumexp(dim=1)

    n = len(scores)
    clipped = scores.by_row(clipped_logsumexp).logsumexp(dim=0)
    return scores.paired.mean() - log_mean(clipped, n * (n - 1))
