"""A difference that a claim is about: what decides it, and what came out in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from papers.reproductions.power import interval_reach
from papers.reproductions.yardstick import SOURCES_KNN, Yardstick

Outcome = Literal[
    "holds", "smaller than published", "too small to matter", "opposite", "cannot be told"
]


@dataclass(frozen=True)
class Verdict:
    """What a contrast came out as.

    Attributes:
        mean: Of the difference over the seeds, in points.
        sd: Its sample standard deviation over the seeds.
        interval: Of the mean, by Student's t, wide enough for all contrasts of the study together.
        outcome: In words.
    """

    mean: float
    sd: float
    interval: tuple[float, float]
    outcome: Outcome


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of accuracies, seed by seed. The claim is that it is above 0, or near 0.

    Attributes:
        words: What is compared: "DebiasedPos over contrastive".
        terms: Arms and their weights; the weights are +1 and −1.
        yardstick: By which figure.
        published: The difference that the source reports, in points; None where it says only that
            there is one. Where the claim is that two are alike, None.
        interest: The smallest difference that would matter, in points.
        alike: The claim is that the difference lies within `interest` either way.
    """

    words: str
    terms: tuple[tuple[float, str], ...]
    yardstick: Yardstick
    published: float | None
    interest: float
    alike: bool = False

    @property
    def fixed(self) -> dict[str, Any]:
        """What must not change once runs exist, as JSON."""
        return {
            "terms": [list(term) for term in self.terms],
            "yardstick": self.yardstick.fixed,
            "published": self.published,
            "interest": self.interest,
            "alike": self.alike,
        }

    @property
    def claimed(self) -> str:
        """What the source says, as a cell of a table."""
        if self.alike:
            return f"within ±{self.interest:g}"
        return "above 0" if self.published is None else f"{self.published:+.1f}"

    def differences(self, results: pd.DataFrame) -> np.ndarray:
        """The weighted sum of each seed that has all its runs, in points.

        Args:
            results: Raw results, a row a figure.
        """
        by_arm = [
            weight * self.yardstick.of(results, arm).rename(arm) for weight, arm in self.terms
        ]
        return 100 * pd.concat(by_arm, axis=1, join="inner").sum(axis=1).to_numpy()

    def verdict(self, results: pd.DataFrame, *, among: int) -> Verdict:
        """What came out.

        The interval covers the truth in 95 of 100 studies for all contrasts of the study at once
        (Bonferroni's bound). It *holds* where the whole interval is on the claim's side and the
        published size lies within it or below; is *smaller than published* where the published size
        lies above the interval, whether or not 0 lies in it, and *too small to matter* where no
        size is published and the interval lies below `interest`; is *opposite* where all of it is
        on the other side; and *cannot be told* otherwise. Of two that are claimed alike it *holds*
        where the interval lies within the margin, and is *opposite* where it lies outside.

        Args:
            results: Raw results of all runs.
            among: Contrasts of the study.
        """
        found = self.differences(results)
        mean, sd = float(found.mean()), float(found.std(ddof=1))
        reach = interval_reach(sd, len(found), among)
        interval = mean - reach, mean + reach
        return Verdict(mean, sd, interval, self._outcome(*interval))

    def _outcome(self, low: float, high: float) -> Outcome:
        if self.alike:
            if -self.interest <= low and high <= self.interest:
                return "holds"
            apart = low > self.interest or high < -self.interest
            return "opposite" if apart else "cannot be told"
        if high < 0:
            return "opposite"
        if self.published is None and high < self.interest:
            return "too small to matter"
        if self.published is not None and high < self.published:
            return "smaller than published"
        return "holds" if low > 0 else "cannot be told"


def over(
    better: str,
    worse: str,
    published: float | None,
    names: Mapping[str, str],
    *,
    yardstick: Yardstick = SOURCES_KNN,
    interest: float = 0.5,
) -> Contrast:
    """One arm over another.

    Args:
        better: The arm that the source has ahead.
        worse: The other.
        published: As for a contrast.
        names: Of the arms, as sentences have them.
        yardstick: By which figure.
        interest: As for a contrast.
    """
    words = f"{names[better]} over {names[worse]}"
    return Contrast(words, ((1.0, better), (-1.0, worse)), yardstick, published, interest)
