"""Whether one figure of encoders puts them in the order of another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from papers.reproductions.claim import Claim, Outcome
from papers.reproductions.yardstick import Yardstick


@dataclass(frozen=True)
class RankCorrelation(Claim):
    """Spearman's ρ over arms, seed by seed. The claim is that it is below a limit.

    The interval is of the mean over seeds, for these arms; it says nothing of arms that were not
    trained. It *holds* where the whole interval lies below the limit, and is *opposite* where it
    lies above.

    Attributes:
        among: The arms, three or more.
        figure: Of every run.
        against: The other figure of every run.
        below: The limit, −1 to 1.
    """

    among: tuple[str, ...]
    figure: Yardstick
    against: Yardstick
    below: float

    @property
    def fixed(self) -> dict[str, Any]:
        """Arms, yardsticks and limit."""
        return {
            "ranks of": list(self.among),
            "yardsticks": [each.fixed for each in self.yardsticks],
            "below": self.below,
        }

    @property
    def claimed(self) -> str:
        """The limit."""
        return f"below {self.below:g}"

    @property
    def arms(self) -> tuple[str, ...]:
        """All that are ranked."""
        return self.among

    @property
    def yardsticks(self) -> tuple[Yardstick, ...]:
        """Both."""
        return self.figure, self.against

    @property
    def aim(self) -> None:
        """It is about no difference."""

    def by_seed(self, results: pd.DataFrame) -> np.ndarray:
        """ρ of each seed that has all its runs, in the order of the seeds.

        Args:
            results: Raw results, a row a figure.
        """
        tables = [
            pd.concat(
                [yardstick.of(results, arm).rename(arm) for arm in self.among], axis=1, join="inner"
            )
            for yardstick in self.yardsticks
        ]
        seeds = tables[0].index.intersection(tables[1].index).sort_values()
        ranks = [rankdata(table.loc[seeds].to_numpy(), axis=1) for table in tables]
        # Spearman's ρ is Pearson's of the ranks, equal figures sharing their mean rank.
        return np.array([np.corrcoef(*of_seed)[0, 1] for of_seed in zip(*ranks, strict=True)])

    def outcome(self, low: float, high: float) -> Outcome:
        """On which side of the limit the interval lies."""
        if high < self.below:
            return "holds"
        return "opposite" if low > self.below else "cannot be told"
