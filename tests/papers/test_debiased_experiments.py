"""What debiased losses tend to, and how they pull, shows at a small size."""

import math

import pytest
import torch
from papers.debiased_positives import estimators_gap as gap
from papers.debiased_positives.population import population
from papers.measurements import values, where


@pytest.fixture(scope="module")
def data():
    return gap.measure(0, batches=(17, 257), anchors=1024)


def gap_of(data, name, number):
    return float(values(where(data, measured="gap", series=name, x=number), "value")[0])


def test_debiased_pos_needs_true_negatives_to_be_consistent(data):
    assert gap_of(data, gap.POS_TRUE, 512) < 0.2 * gap_of(data, gap.POS_TRUE, 32)
    plateau = values(where(data, measured="gap", series=gap.POS, x=512), "expected")[0]
    assert gap_of(data, gap.POS, 512) == pytest.approx(plateau, rel=0.15)


def test_debiased_neg_is_close_to_what_it_estimates(data):
    assert gap_of(data, gap.NEG, 512) < 0.01


def test_gaps_are_within_their_bounds(data):
    for name in (gap.NEG, gap.NEG_ONE, gap.POS_TRUE):
        for number in (32, 512):
            assert gap_of(data, name, number) < gap.bound(name, number)


def test_pulls_on_a_positive(data):
    def pull(name, cosine):
        return float(values(where(data, measured="pull", series=name, x=cosine), "value")[0])

    assert pull("DebiasedPos", -0.5) == pytest.approx(-0.007, abs=0.001)
    assert pull("DebiasedPos", 0.9) == pytest.approx(-0.105, abs=0.005)
    for cosine in gap.COSINES:
        assert pull("InfoNCE (NT-Xent)", cosine) == pytest.approx(-2, abs=0.02)


def test_expectations_are_sums_over_the_population():
    world = population(torch.Generator().manual_seed(0))
    anchor = world.points[3, 7]
    own, others = world.expectations(anchor[None], torch.tensor([3]), temperature=0.5)
    h = [[math.exp(float(anchor @ point) / 0.5) for point in points] for points in world.points]
    rest = [value for label, row in enumerate(h) for value in row if label != 3]
    assert float(own) == pytest.approx(sum(h[3]) / len(h[3]))
    assert float(others) == pytest.approx(sum(rest) / len(rest))
