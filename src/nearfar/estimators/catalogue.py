"""Every bound under its name: how a critic is trained for it, and how its value is read."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nearfar.errors import SettingError
from nearfar.estimators.donsker_varadhan import donsker_varadhan, mine
from nearfar.estimators.facts import BOUND_FACTS, BoundFacts
from nearfar.estimators.info_nce import info_nce_bound, interpolated
from nearfar.estimators.jensen_shannon import jensen_shannon, jensen_shannon_information, smile
from nearfar.estimators.nwj import nwj, tuba
from nearfar.estimators.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Bound(BoundFacts):
    """A bound with its facts.

    Attributes:
        objective: `(scores, log_baseline, log_moving_average) -> scalar` to be maximised in
            training; what the bound does not need is None.
        estimate: `(scores, log_baseline) -> scalar`, its value in nats.
    """

    objective: Callable[[Scores, Tensor | None, Tensor | None], Tensor]
    estimate: Callable[[Scores, Tensor | None], Tensor]


def _plain(name: str, objective: Callable[[Scores], Tensor], estimate: Callable[[Scores], Tensor]):
    """A bound of the scores alone."""
    return Bound(
        **vars(BOUND_FACTS[name]),
        objective=lambda scores, _baseline, _average: objective(scores),
        estimate=lambda scores, _baseline: estimate(scores),
    )


def _with_baseline(name: str, value: Callable[[Scores, Tensor], Tensor]) -> Bound:
    """A bound of the scores and a learned baseline, trained on its own value."""

    def estimate(scores: Scores, log_baseline: Tensor | None) -> Tensor:
        if log_baseline is None:
            raise SettingError(f"{name} needs a log_baseline: log a(y) of each y")
        return value(scores, log_baseline)

    return Bound(
        **vars(BOUND_FACTS[name]),
        objective=lambda scores, log_baseline, _average: estimate(scores, log_baseline),
        estimate=estimate,
    )


def _mine_objective(
    scores: Scores, _log_baseline: Tensor | None, log_moving_average: Tensor | None
) -> Tensor:
    """MINE's, which cannot do without its moving average."""
    if log_moving_average is None:
        raise SettingError("mine needs a log_moving_average: see updated_log_moving_average")
    return mine(scores, log_moving_average)


BOUNDS: dict[str, Bound] = {
    "donsker_varadhan": _plain("donsker_varadhan", donsker_varadhan, donsker_varadhan),
    "mine": Bound(
        **vars(BOUND_FACTS["mine"]),
        objective=_mine_objective,
        estimate=lambda scores, _baseline: donsker_varadhan(scores),
    ),
    "nwj": _plain("nwj", nwj, nwj),
    "tuba": _with_baseline("tuba", tuba),
    "jensen_shannon": _plain("jensen_shannon", jensen_shannon, jensen_shannon_information),
    "smile": _plain("smile", jensen_shannon, smile),
    "info_nce": _plain("info_nce", info_nce_bound, info_nce_bound),
    "interpolated": _with_baseline("interpolated", interpolated),
}
