"""What a study decides on: a number of each seed, and the words for its mean's interval."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from papers.reproductions.power import interval_reach
from papers.reproductions.yardstick import Yardstick

Outcome = Literal[
    "holds", "smaller than published", "too small to matter", "opposite", "cannot be told"
]


@dataclass(frozen=True)
class Verdict:
    """What a claim came out as.

    Attributes:
        mean: Over the seeds, in the unit of the claim.
        sd: Sample standard deviation over the seeds.
        interval: Of the mean, by Student's t, wide enough for all claims of the study together.
        outcome: In words.
    """

    mean: float
    sd: float
    interval: tuple[float, float]
    outcome: Outcome


@dataclass(frozen=True)
class Claim(ABC):
    """A statement about the arms of a study, on which its runs decide.

    Attributes:
        words: What is compared: "DebiasedPos over contrastive".
    """

    words: str

    @property
    @abstractmethod
    def fixed(self) -> dict[str, Any]:
        """What must not change once runs exist, as JSON."""

    @property
    @abstractmethod
    def claimed(self) -> str:
        """What the source says, as a cell of a table."""

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that it is about."""

    @property
    @abstractmethod
    def yardsticks(self) -> tuple[Yardstick, ...]:
        """By which figures."""

    @property
    @abstractmethod
    def aim(self) -> float | None:
        """The difference that the seeds should show, in points; None where it is about none."""

    @abstractmethod
    def by_seed(self, results: pd.DataFrame) -> np.ndarray:
        """The number of each seed that has all its runs.

        Args:
            results: Raw results, a row a figure.
        """

    @abstractmethod
    def outcome(self, low: float, high: float) -> Outcome:
        """What an interval of the mean says."""

    def verdict(self, results: pd.DataFrame, *, among: int) -> Verdict:
        """What came out.

        The interval covers the truth in 95 of 100 studies for all claims of the study at once
        (Bonferroni's bound).

        Args:
            results: Raw results of all runs.
            among: Claims of the study.
        """
        found = self.by_seed(results)
        mean, sd = float(found.mean()), float(found.std(ddof=1))
        reach = interval_reach(sd, len(found), among)
        interval = mean - reach, mean + reach
        return Verdict(mean, sd, interval, self.outcome(*interval))
