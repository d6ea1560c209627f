"""A difference of accuracies that a claim is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from papers.reproductions.claim import Claim, Outcome
from papers.reproductions.yardstick import SOURCES_KNN, Yardstick


@dataclass(frozen=True)
class Contrast(Claim):
    """A weighted sum of accuracies, seed by seed. The claim is that it is above 0, or near 0.

    It *holds* where the whole interval is on the claim's side and the published size lies within it
    or below; is *smaller than published* where the published size lies above the interval, whether
    or not 0 lies in it, and *too small to matter* where no size is published and the interval lies
    below `interest`; is *opposite* where all of it is on the other side; and *cannot be told*
    otherwise. Of two that are claimed alike it *holds* where the interval lies within the margin,
    and is *opposite* where it lies outside.

    Attributes:
        terms: Arms and their weights, which sum to 0.
        yardstick: By which figure.
        published: The difference that the source reports, in points; None where it says only that
            there is one. Where the claim is that two are alike, None.
        interest: The smallest difference that would matter, in points.
        alike: The claim is that the difference lies within `interest` either way.
    """

    terms: tuple[tuple[float, str], ...]
    yardstick: Yardstick
    published: float | None
    interest: float
    alike: bool = False

    @property
    def fixed(self) -> dict[str, Any]:
        """Terms, yardstick, sizes."""
        return {
            "terms": [list(term) for term in self.terms],
            "yardstick": self.yardstick.fixed,
            "published": self.published,
            "interest": self.interest,
            "alike": self.alike,
        }

    @property
    def claimed(self) -> str:
        """The published size, or the side or margin."""
        if self.alike:
            return f"within ±{self.interest:g}"
        return "above 0" if self.published is None else f"{self.published:+.1f}"

    @property
    def arms(self) -> tuple[str, ...]:
        """Those of the terms."""
        return tuple(arm for _, arm in self.terms)

    @property
    def yardsticks(self) -> tuple[Yardstick, ...]:
        """The one."""
        return (self.yardstick,)

    @property
    def aim(self) -> float:
        """The published size, else the smallest of interest."""
        return self.published or self.interest

    def by_seed(self, results: pd.DataFrame) -> np.ndarray:
        """The weighted sum of each seed that has all its runs, in points.

        Args:
            results: Raw results, a row a figure.
        """
        by_arm = [
            weight * self.yardstick.of(results, arm).rename(arm) for weight, arm in self.terms
        ]
        joined = pd.concat(by_arm, axis=1, join="inner").sum(axis=1).to_numpy()
        return self.yardstick.scale * joined

    def outcome(self, low: float, high: float) -> Outcome:
        """What the interval of the difference says."""
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
    alike: bool = False,
) -> Contrast:
    """One arm over another.

    Args:
        better: The arm that the source has ahead.
        worse: The other.
        published: As for a contrast.
        names: Of the arms, as sentences have them.
        yardstick: By which figure.
        interest: As for a contrast.
        alike: As for a contrast.
    """
    words = f"{names[better]} over {names[worse]}"
    return Contrast(words, ((1.0, better), (-1.0, worse)), yardstick, published, interest, alike)


def on_average(
    words: str,
    better: Sequence[str],
    worse: Sequence[str],
    published: float | None,
    *,
    yardstick: Yardstick,
    interest: float,
) -> Contrast:
    """The mean of some arms over the mean of others: the effect of an axis of a grid.

    Args:
        words: What is compared.
        better: The arms that the source has ahead.
        worse: The others.
        published: As for a contrast.
        yardstick: By which figure.
        interest: As for a contrast.
    """
    terms = (
        *((1 / len(better), arm) for arm in better),
        *((-1 / len(worse), arm) for arm in worse),
    )
    return Contrast(words, terms, yardstick, published, interest)


def of_axis(
    words: str,
    cells: Mapping[str, tuple[float, ...]],
    axis: int,
    better: float,
    worse: float,
    *,
    yardstick: Yardstick,
    interest: float = 1.0,
) -> Contrast:
    """One value of an axis of a grid over another, in the mean over the other axes.

    Args:
        words: What is compared.
        cells: Every arm of the grid, and its value on each axis.
        axis: Which.
        better: The value that the source has ahead.
        worse: The other.
        yardstick: By which figure.
        interest: As for a contrast.
    """
    ahead, behind = (
        [arm for arm, cell in cells.items() if cell[axis] == value] for value in (better, worse)
    )
    return on_average(words, ahead, behind, None, yardstick=yardstick, interest=interest)
