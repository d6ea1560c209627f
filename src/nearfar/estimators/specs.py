"""Every bound on mutual information: what to know before trusting it, and what computes it.

Imports no torch.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from nearfar.errors import SettingError
from nearfar.plugins import imported
from nearfar.spec import Choice

if TYPE_CHECKING:
    from torch import Tensor

    from nearfar.estimators.scores import Scores

_POOLE = (
    "Poole, Ozair, van den Oord, Alemi and Tucker 2019, On Variational Bounds of Mutual "
    "Information, arXiv:1905.06922"
)


class BoundSpec(Choice, noun="bound"):
    """A bound on mutual information; its docstring says what it is and what to mind.

    Attributes:
        title: Its name as papers write it.
        source: Where it comes from.
        valid_bound: For any critic that has not seen the batch, the value of a batch is on average
            no more than the true mutual information.
        limited_by_batch: It cannot exceed log N of the batch that it is read from.
        averages_exponentials: A few samples can make up its mean of exponentials.
        needs_labels: A classifier of labels takes the place of the critic.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    valid_bound: ClassVar[bool]
    limited_by_batch: ClassVar[bool] = False
    averages_exponentials: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False


class CriticBoundSpec(BoundSpec):
    """A bound of the scores that a critic gives to pairs.

    Attributes:
        value: "module:function" of `(scores)`, or of `(scores, log_baseline)`: the bound in nats.
        trained_by: The function that training maximises instead, where it is another one.
        needs_baseline: It takes a learned `log a(y)`.
        needs_moving_average: Training it takes a moving average, as `mine` says.
    """

    value: ClassVar[str]
    trained_by: ClassVar[str] = ""
    needs_baseline: ClassVar[bool] = False
    needs_moving_average: ClassVar[bool] = False

    def estimate(self, scores: "Scores", log_baseline: "Tensor | None" = None) -> "Tensor":
        """The bound, a scalar in nats.

        Args:
            scores: Of N pairs.
            log_baseline: `log a(y)` of each y, for a bound that needs it.
        """
        return imported(self.value)(scores, *self._baseline(log_baseline))

    def objective(
        self,
        scores: "Scores",
        log_baseline: "Tensor | None" = None,
        log_moving_average: "Tensor | None" = None,
    ) -> "Tensor":
        """What training maximises, a scalar.

        Args:
            scores: Of N pairs.
            log_baseline: As for `estimate`.
            log_moving_average: From `updated_log_moving_average`, for a bound that needs it.
        """
        function = imported(self.trained_by or self.value)
        if not self.needs_moving_average:
            return function(scores, *self._baseline(log_baseline))
        if log_moving_average is None:
            raise SettingError(
                f"{self.name} needs a log_moving_average: see updated_log_moving_average"
            )
        return function(scores, log_moving_average)

    def _baseline(self, log_baseline: "Tensor | None") -> "tuple[Tensor, ...]":
        if not self.needs_baseline:
            return ()
        if log_baseline is None:
            raise SettingError(f"{self.name} needs a log_baseline: log a(y) of each y")
        return (log_baseline,)


class DonskerVaradhanSpec(CriticBoundSpec):
    """E[f] − log E[e^f].

    The logarithm of a batch's mean is biased upward, the more so the higher the information and the
    smaller the batch.
    """

    title = "Donsker-Varadhan"
    source = (
        "Donsker and Varadhan 1983, Asymptotic evaluation of certain Markov process "
        "expectations for large time IV"
    )
    valid_bound, averages_exponentials = False, True
    value = "nearfar.estimators.donsker_varadhan:donsker_varadhan"
    name: Literal["donsker_varadhan"] = "donsker_varadhan"


class MINESpec(CriticBoundSpec):
    """Donsker-Varadhan, trained with a moving average in the gradient's denominator; read in the
    same way, with the same upward bias.
    """

    title = "MINE"
    source = "Belghazi et al. 2018, Mutual Information Neural Estimation, arXiv:1801.04062"
    valid_bound, averages_exponentials, needs_moving_average = False, True, True
    value = "nearfar.estimators.donsker_varadhan:donsker_varadhan"
    trained_by = "nearfar.estimators.donsker_varadhan:mine"
    name: Literal["mine"] = "mine"


class NWJSpec(CriticBoundSpec):
    """E[f] − E[e^f] / e. A lower bound on average, of a variance that grows like e^I."""

    title = "NWJ"
    source = (
        "Nguyen, Wainwright and Jordan 2010, Estimating divergence functionals and the "
        "likelihood ratio by convex risk minimization, arXiv:0809.0853"
    )
    valid_bound, averages_exponentials = True, True
    value = "nearfar.estimators.nwj:nwj"
    name: Literal["nwj"] = "nwj"


class TUBASpec(CriticBoundSpec):
    """1 + E[f − log a(y)] − E[e^f / a(y)] with a learned baseline a(y): NWJ whose critic need not
    find the scale of each y. A lower bound on average, of high variance.
    """

    title = "TUBA"
    source = _POOLE
    valid_bound, averages_exponentials, needs_baseline = True, True, True
    value = "nearfar.estimators.nwj:tuba"
    name: Literal["tuba"] = "tuba"


class JensenShannonSpec(CriticBoundSpec):
    """A critic that learns to tell true pairs from others, read by NWJ's bound of f + 1.

    Trains steadily; a lower bound on average, of NWJ's variance.
    """

    title = "Jensen-Shannon"
    source = (
        "Hjelm et al. 2019, Learning deep representations by mutual information estimation "
        "and maximization, arXiv:1808.06670; read as in Poole et al. 2019, arXiv:1905.06922"
    )
    valid_bound, averages_exponentials = True, True
    value = "nearfar.estimators.jensen_shannon:jensen_shannon_information"
    trained_by = "nearfar.estimators.jensen_shannon:jensen_shannon"
    name: Literal["jensen_shannon"] = "jensen_shannon"


class SMILESpec(CriticBoundSpec):
    """The critic of Jensen-Shannon, read by Donsker-Varadhan with the denominator's scores clipped:
    little variance, and a bias of either sign. An estimate, not a bound.
    """

    title = "SMILE"
    source = (
        "Song and Ermon 2020, Understanding the Limitations of Variational Mutual "
        "Information Estimators, arXiv:1910.06222"
    )
    valid_bound = False
    value = "nearfar.estimators.jensen_shannon:smile"
    trained_by = "nearfar.estimators.jensen_shannon:jensen_shannon"
    name: Literal["smile"] = "smile"


class InfoNCEBoundSpec(CriticBoundSpec):
    """log N − cross-entropy of finding a row's own key among N.

    A lower bound on average, of little variance, which cannot exceed log N.
    """

    title = "InfoNCE"
    source = (
        "van den Oord, Li and Vinyals 2018, Representation Learning with Contrastive "
        "Predictive Coding, arXiv:1807.03748"
    )
    valid_bound, limited_by_batch = True, True
    value = "nearfar.estimators.info_nce:info_nce_bound"
    name: Literal["info_nce"] = "info_nce"


class InterpolatedSpec(CriticBoundSpec):
    """Between InfoNCE and TUBA with a learned baseline; 1 % of the batch's own mean in the baseline
    keeps the variance finite and lifts the ceiling by about log 100 nats. A lower bound on average.
    """

    title = "InfoNCE–TUBA interpolation"
    source = _POOLE
    valid_bound, needs_baseline = True, True
    value = "nearfar.estimators.info_nce:interpolated"
    name: Literal["interpolated"] = "interpolated"


class BarberAgakovSpec(BoundSpec):
    """H(Z) − cross-entropy of a classifier of the labels z.

    A lower bound on average, as far as the entropy is known.
    """

    title = "Barber-Agakov"
    source = "Barber and Agakov 2003, The IM Algorithm, NIPS 16"
    valid_bound, needs_labels = True, True
    name: Literal["barber_agakov"] = "barber_agakov"


def critic_bounds() -> dict[str, CriticBoundSpec]:
    """Every bound that a critic is trained for, by name."""
    known = BoundSpec.known()
    return {name: kind() for name, kind in known.items() if issubclass(kind, CriticBoundSpec)}
