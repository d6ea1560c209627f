"""What a sweep has come to: its trials, as its journal and its run folders tell of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Literal

from nearfar.sweeps.study import Point

TrialState = Literal["running", "finished", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One point of the axes with all its seeds.

    Attributes:
        number: From 0 in the order in which they began.
        state: What became of it.
        point: Its values.
        checks: What is maximised, by seed: a fraction, of the runs that came to their end.
        seconds: Of training, by seed.
        on_the_way: Checks of the first seed by the epochs done, where trials may be ended early.
        told: Why it failed.
    """

    number: int
    state: TrialState
    point: Point
    checks: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    on_the_way: dict[int, float] = field(default_factory=dict)
    told: str = ""

    @property
    def mean(self) -> float | None:
        """The mean over the seeds of a trial that finished; of a pruned one, its last check."""
        if self.state == "finished":
            return fmean(self.checks.values())
        if self.state == "pruned" and self.on_the_way:
            return self.on_the_way[max(self.on_the_way)]
        return None

    @property
    def sd(self) -> float | None:
        """The standard deviation over two or more seeds of a trial that finished."""
        several = self.state == "finished" and len(self.checks) > 1
        return stdev(self.checks.values()) if several else None

    @property
    def text(self) -> str:
        """Mean and standard deviation in per cent; empty of a trial that has none."""
        if self.mean is None:
            return ""
        return percent_and_sd(self.checks.values() if self.sd is not None else [self.mean])


def percent_and_sd(shares: Iterable[float]) -> str:
    """The mean of fractions in per cent, and the standard deviation of two or more."""
    percents = [100 * share for share in shares]
    mean = f"{fmean(percents):.1f}"
    return mean if len(percents) < 2 else f"{mean} ± {stdev(percents):.1f}"


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that finished, the highest mean first; of equal ones the earlier."""
    finished = [each for each in trials if each.state == "finished"]
    return sorted(finished, key=lambda each: (-(each.mean or 0.0), each.number))
