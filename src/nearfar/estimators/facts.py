"""What a person should know of each bound before trusting it, without importing torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BoundFacts:
    """Facts of a bound on mutual information.

    Attributes:
        title: Its name as papers write it.
        source: Where it comes from.
        summary: What it is and what to mind, in a sentence or two.
        needs_baseline: It takes a learned `log a(y)`.
        needs_moving_average: Its training keeps a moving average.
        limited_by_batch: It cannot exceed log N of the batch that it is read from.
        valid_bound: For any critic that has not seen the batch, the value of a batch is on average
            no more than the true mutual information.
    """

    title: str
    source: str
    summary: str
    needs_baseline: bool = False
    needs_moving_average: bool = False
    limited_by_batch: bool = False
    valid_bound: bool


_POOLE = (
    "Poole, Ozair, van den Oord, Alemi and Tucker 2019, On Variational Bounds of Mutual "
    "Information, arXiv:1905.06922"
)

BOUND_FACTS: dict[str, BoundFacts] = {
    "donsker_varadhan": BoundFacts(
        title="Donsker-Varadhan",
        source="Donsker and Varadhan 1983, Asymptotic evaluation of certain Markov process "
        "expectations for large time IV",
        summary="E[f] − log E[e^f]. The logarithm of a batch's mean is biased upward, the more so "
        "the higher the information and the smaller the batch.",
        valid_bound=False,
    ),
    "mine": BoundFacts(
        title="MINE",
        source="Belghazi et al. 2018, Mutual Information Neural Estimation, arXiv:1801.04062",
        summary="Donsker-Varadhan, trained with a moving average in the gradient's denominator; "
        "read in the same way, with the same upward bias.",
        needs_moving_average=True,
        valid_bound=False,
    ),
    "nwj": BoundFacts(
        title="NWJ",
        source="Nguyen, Wainwright and Jordan 2010, Estimating divergence functionals and the "
        "likelihood ratio by convex risk minimization, arXiv:0809.0853",
        summary="E[f] − E[e^f] / e. A lower bound on average, of a variance that grows like e^I.",
        valid_bound=True,
    ),
    "tuba": BoundFacts(
        title="TUBA",
        source=_POOLE,
        summary="1 + E[f − log a(y)] − E[e^f / a(y)] with a learned baseline a(y): NWJ whose "
        "critic need not find the scale of each y. A lower bound on average, of high variance.",
        needs_baseline=True,
        valid_bound=True,
    ),
    "jensen_shannon": BoundFacts(
        title="Jensen-Shannon",
        source="Hjelm et al. 2019, Learning deep representations by mutual information estimation "
        "and maximization, arXiv:1808.06670; read as in Poole et al. 2019, arXiv:1905.06922",
        summary="A critic that learns to tell true pairs from others, read by NWJ's bound of "
        "f + 1. Trains steadily; a lower bound on average, of NWJ's variance.",
        valid_bound=True,
    ),
    "smile": BoundFacts(
        title="SMILE",
        source="Song and Ermon 2020, Understanding the Limitations of Variational Mutual "
        "Information Estimators, arXiv:1910.06222",
        summary="The critic of Jensen-Shannon, read by Donsker-Varadhan with the denominator's "
        "scores clipped: little variance, and a bias of either sign. An estimate, not a bound.",
        valid_bound=False,
    ),
    "info_nce": BoundFacts(
        title="InfoNCE",
        source="van den Oord, Li and Vinyals 2018, Representation Learning with Contrastive "
        "Predictive Coding, arXiv:1807.03748",
        summary="log N − cross-entropy of finding a row's own key among N. A lower bound on "
        "average, of little variance, which cannot exceed log N.",
        limited_by_batch=True,
        valid_bound=True,
    ),
    "interpolated": BoundFacts(
        title="InfoNCE–TUBA interpolation",
        source=_POOLE,
        summary="Between InfoNCE and TUBA with a learned baseline; 1 % of the batch's own mean in "
        "the baseline keeps the variance finite and lifts the ceiling by about log 100 nats. A "
        "lower bound on average.",
        needs_baseline=True,
        valid_bound=True,
    ),
}
