"""How small a difference a number of seeds can show: Student's t and its power."""

import math

from scipy.stats import nct
from scipy.stats import t as student

CONFIDENCE, POWER = 0.95, 0.8
MOST_SEEDS = 1000


def interval_reach(sd: float, seeds: int, among: int = 1) -> float:
    """Half the width of the interval of a mean.

    Args:
        sd: Sample standard deviation over the seeds.
        seeds: Two or more.
        among: Intervals that are all to cover the truth at once.
    """
    return _critical(seeds, among) * sd / math.sqrt(seeds)


def detectable(sd: float, seeds: int, among: int = 1) -> float:
    """The difference that is told from 0 in four of five studies.

    Args:
        sd: Of the differences, over seeds; above 0.
        seeds: Two or more.
        among: Differences that are judged at once.

    Returns:
        In the unit of `sd`: the two-sided test at 95 % confidence has 80 % power there.
    """
    low, high = 0.0, 1e3
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if _power(middle, seeds, among) < POWER else (low, middle)
    return high * sd


def seeds_for(difference: float, sd: float, among: int = 1) -> int:
    """Seeds that show a difference in four of five studies; at most a thousand.

    Args:
        difference: Above 0.
        sd: Of the differences, over seeds; above 0.
        among: Differences that are judged at once.
    """
    for seeds in range(2, MOST_SEEDS):
        if _power(difference / sd, seeds, among) >= POWER:
            return seeds
    return MOST_SEEDS


def _critical(seeds: int, among: int) -> float:
    return float(student.ppf(1 - (1 - CONFIDENCE) / among / 2, seeds - 1))


def _power(effect: float, seeds: int, among: int) -> float:
    """Of the test against 0, for a mean of `effect` standard deviations."""
    critical, shift = _critical(seeds, among), effect * math.sqrt(seeds)
    above = nct.sf(critical, seeds - 1, shift)
    # Far out the distribution has no numbers any more: then the difference is seen for sure.
    return 1.0 if math.isnan(above) else float(above)
