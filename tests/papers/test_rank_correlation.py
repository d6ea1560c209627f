"""A rank correlation over arms is Spearman's, seed by seed, and its words are what it says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papers.reproductions.rank_correlation import RankCorrelation
from papers.reproductions.yardstick import BOUND, PROBE
from scipy.stats import spearmanr, ttest_1samp

ARMS = ("a", "b", "c", "d")
CLAIM = RankCorrelation("bound and probe", ARMS, BOUND, PROBE, below=0.5)


def rows_of(bounds, probes) -> pd.DataFrame:
    """Results of seeds 0, 1, …: for each, figures of the arms."""
    rows = []
    for yardstick, by_seed in ((BOUND, bounds), (PROBE, probes)):
        rows += [
            {
                "arm": arm,
                "seed": seed,
                "measured_on": yardstick.measured_on,
                "epoch": 6.0,
                "protocol": yardstick.protocol,
                "features": yardstick.features,
                "metric": yardstick.metric,
                "parameters": "{}",
                "value": value,
            }
            for seed, of_arms in enumerate(by_seed)
            for arm, value in zip(ARMS, of_arms, strict=True)
        ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0).reset_index(drop=True)


figures = st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(
    lambda each: len(set(each)) > 1
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(figures, figures), min_size=2, max_size=5))
def test_it_is_spearmans_of_each_seed(seeds):
    """Equal figures among them too, and whatever the order of the rows."""
    bounds, probes = zip(*seeds, strict=True)
    expected = [spearmanr(bound, probe)[0] for bound, probe in seeds]
    assert CLAIM.by_seed(rows_of(bounds, probes)) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("probes", "outcome"),
    [
        ([(4, 3, 2, 1)] * 3, "holds"),
        ([(1, 2, 3, 4)] * 3, "opposite"),
        ([(1, 2, 3, 4), (4, 3, 2, 1), (1, 2, 3, 4)], "cannot be told"),
    ],
)
def test_it_holds_where_the_whole_interval_is_below(probes, outcome):
    verdict = CLAIM.verdict(rows_of([(1, 2, 3, 4)] * 3, probes), among=1)
    assert verdict.outcome == outcome


def test_its_interval_is_students_over_the_seeds():
    probes = [(1, 2, 3, 4), (1, 2, 4, 3), (2, 1, 4, 3)]
    rows = rows_of([(1, 2, 3, 4)] * 3, probes)
    low, high = CLAIM.verdict(rows, among=2).interval
    found = ttest_1samp(CLAIM.by_seed(rows), 0).confidence_interval(1 - 0.05 / 2)
    assert (low, high) == pytest.approx((found.low, found.high))


def test_a_seed_that_lacks_a_figure_is_left_out():
    rows = rows_of([(1, 2, 3, 4)] * 3, [(1, 2, 3, 4), (4, 3, 2, 1), (1, 2, 3, 4)])
    lacking = (rows["seed"] == 1) & (rows["arm"] == "b") & (rows["metric"] == "bound")
    assert CLAIM.by_seed(rows[~lacking]).tolist() == pytest.approx([1, 1])
