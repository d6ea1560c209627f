"""How far a score can be trusted: intervals of 95 % for one score and for the difference of two."""

from dataclasses import dataclass
from math import inf, sqrt
from statistics import stdev

from scipy.special import stdtrit

Z95 = 1.959963984540054
"""Quantile .975 of the standard normal distribution."""


@dataclass(frozen=True)
class Score:
    """One measured value and what its uncertainty follows from.

    Attributes:
        value: The mean over draws, or the single value; accuracies are fractions.
        n: Number of test examples, or None where the value is no share of examples.
        sd: Standard deviation over draws, or None for a single value.
        draws: Number of draws that `value` and `sd` come from.
        values: The value of each draw, where they were kept.
        standard_error: Of a mean over some of the examples that could have been asked, or of a
            figure over test examples that is no share of them.
    """

    value: float
    n: int | None = None
    sd: float | None = None
    draws: int = 1
    values: tuple[float, ...] = ()
    standard_error: float | None = None


@dataclass(frozen=True)
class Difference:
    """First score minus second, with its interval of 95 %."""

    value: float
    low: float
    high: float

    @property
    def outcome(self) -> str:
        """`ahead` or `behind` where the interval leaves out 0, `level` otherwise."""
        if self.low > 0:
            return "ahead"
        return "behind" if self.high < 0 else "level"


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The interval of 95 % of a share of n examples (Wilson 1927).

    It stays inside 0..1 and is right near both ends, where p ± 1.96 √(p(1−p)/n) fails.

    Args:
        share: Observed share, 0 to 1.
        n: Number of examples, at least 1.

    Returns:
        Lower and upper end.
    """
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def difference(first: Score, second: Score) -> Difference:
    """First minus second, with 95 %: chance of the test examples and of the draws together.

    The test examples count by Newcombe's interval (Newcombe 1998, method 10), or by the standard
    errors where there are such; the draws by the
    interval of their differences, draw by draw, where the values of both are known, else by Welch's
    (Welch 1947). The two are added as independent errors are. Newcombe's takes the scores as
    independent; scores that share their test examples differ by less chance than that, so the
    interval is wide rather than narrow.

    Args:
        first: The score that is judged; its value and the other's are fractions where `n` is given.
        second: The score it is held against.
    """
    gap = first.value - second.value
    below, above = _test_margins(first, second)
    errors = (first.standard_error or 0.0) ** 2 + (second.standard_error or 0.0) ** 2
    below, above = sqrt(below**2 + Z95**2 * errors), sqrt(above**2 + Z95**2 * errors)
    draws = _draw_margin(first, second)
    return Difference(gap, gap - sqrt(below**2 + draws**2), gap + sqrt(above**2 + draws**2))


def _test_margins(first: Score, second: Score) -> tuple[float, float]:
    """Newcombe's distances from the gap down and up to the ends of its interval."""
    if not first.n or not second.n:
        return 0.0, 0.0
    first_low, first_high = wilson_interval(first.value, first.n)
    second_low, second_high = wilson_interval(second.value, second.n)
    below = sqrt((first.value - first_low) ** 2 + (second_high - second.value) ** 2)
    above = sqrt((first_high - first.value) ** 2 + (second.value - second_low) ** 2)
    return below, above


def _draw_margin(first: Score, second: Score) -> float:
    """Half the interval of the difference of two means over draws: paired, or else Welch's."""
    if len(first.values) == len(second.values) >= 2:
        gaps = [one - other for one, other in zip(first.values, second.values, strict=True)]
        return float(stdtrit(len(gaps) - 1, 0.975)) * stdev(gaps) / sqrt(len(gaps))
    drawn = [score for score in (first, second) if score.sd is not None]
    if not drawn:
        return 0.0
    if any(score.draws < 2 for score in drawn):
        return inf
    parts = [(score.sd or 0.0) ** 2 / score.draws for score in drawn]
    total = sum(parts)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(
        part**2 / (score.draws - 1) for part, score in zip(parts, drawn, strict=True)
    )
    return float(stdtrit(freedom, 0.975)) * sqrt(total)
