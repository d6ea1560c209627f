"""Outliers, heavy tails and large offsets: the information of the pairs is what it was."""

import numpy as np
import pytest
from gaussians import gaussian_pairs
from scipy.special import digamma, gammaln
from scipy.stats import norm
from scipy.stats import t as student_t

import nearfar
from nearfar.information.ksg import ksg, ksg_of_labels
from nearfar.information.samples import split
from nearfar.information.specs import CriticSpec

INFORMATION = 0.511
SMALL = CriticSpec(hidden=32, layers=1, embedding_dim=8)
QUICK = {"critic": SMALL, "batch_size": 64, "max_steps": 150, "learning_rate": 1e-2}


def with_outlier(values):
    spoilt = values.copy()
    spoilt[7] = 1e6
    return spoilt


# Each keeps the order of the values, so that nothing of the information goes.
TAILS = {
    "one of 1e6": with_outlier,
    "log-normal": lambda values: np.exp(3 * values),
    "very log-normal": lambda values: np.exp(30 * values),
    "Cauchy": lambda values: student_t.ppf(norm.cdf(values), df=1),
    "cubed": lambda values: values**3,
}


@pytest.fixture(scope="module")
def pairs():
    return gaussian_pairs(2000, 1, INFORMATION)


@pytest.mark.parametrize("which", TAILS)
@pytest.mark.parametrize("sides", [(True, False), (False, True), (True, True)])
def test_nearest_neighbours_find_the_same_in_heavy_tails(pairs, which, sides):
    x, z = (TAILS[which](side) if heavy else side for side, heavy in zip(pairs, sides, strict=True))
    assert ksg(x, z, seed=0) == pytest.approx(INFORMATION, abs=0.05)


@pytest.mark.parametrize("which", TAILS)
def test_nearest_neighbours_of_labels_too(pairs, which):
    x, z = pairs
    labels = (z[:, 0] > 0).astype(np.int64)
    plain = ksg_of_labels(x, labels, seed=0)
    # I(x; sign z) = log 2 less the entropy of a coin that shows heads with Φ(ρ x / √(1 − ρ²)).
    assert plain == pytest.approx(0.239, abs=0.05)
    assert ksg_of_labels(TAILS[which](x), labels, seed=0) == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize(
    ("which", "sides"),
    [("one of 1e6", (True, False)), ("log-normal", (False, True)), ("Cauchy", (True, True))],
)
def test_critics_find_the_same_in_heavy_tails_and_the_tails_are_named(pairs, which, sides):
    x, z = (TAILS[which](side) if heavy else side for side, heavy in zip(pairs, sides, strict=True))
    found = nearfar.estimate_mi(x, z, bounds=("info_nce", "nwj"), **QUICK)
    for estimate in found.estimates:
        assert estimate.value == pytest.approx(INFORMATION, abs=0.1), estimate.bound
        assert estimate.warnings == ()
    named = [warning[:2] for warning in found.warnings if "half of its variance" in warning]
    assert named == [name for name, heavy in zip(("x:", "z:"), sides, strict=True) if heavy]


def test_an_outlier_counts_as_little_in_each_part(pairs):
    quick = {**QUICK, "bounds": ("nwj",), "max_steps": 40}
    plain = nearfar.estimate_mi(*pairs, **quick)["nwj"].value
    split_seed = int(np.random.SeedSequence(0).generate_state(1)[0])
    for part in vars(split(2000, 64, split_seed)).values():
        x, z = pairs[0].copy(), pairs[1]
        x[part[0]] = 1e6
        found = nearfar.estimate_mi(x, z, **quick)
        assert found["nwj"].value == pytest.approx(plain, abs=0.05)
        assert "1 of 2000 values" in found.warnings[0]


@pytest.mark.parametrize("which", ["log-normal", "Cauchy", "an offset"])
def test_one_bad_column_among_many_does_not_drown_the_others(which):
    x, z = gaussian_pairs(2000, 4, 1.0)
    change = TAILS.get(which, lambda values: values + 1.7e12)
    spoilt = np.hstack([x, change(np.random.default_rng(1).normal(size=(2000, 1)))])
    found = nearfar.estimate_mi(spoilt, z, bounds=("info_nce",), **{**QUICK, "max_steps": 100})
    # The four columns alone read 1.02; a bad one that drowned them would leave 0.
    assert found["info_nce"].value > 0.7
    assert ("column 4" in " ".join(found.warnings)) == (which != "an offset")


def test_a_constant_column_changes_nothing_and_is_not_named(pairs):
    x, z = pairs
    quick = {**QUICK, "bounds": ("info_nce",), "max_steps": 80}
    found = nearfar.estimate_mi(np.hstack([x, np.full_like(x, 3e8)]), z, **quick)
    assert found["info_nce"].value == pytest.approx(INFORMATION, abs=0.1)
    assert found.ksg == pytest.approx(INFORMATION, abs=0.05)
    assert found.warnings == ()


def test_columns_half_of_zeros_have_what_is_left(pairs):
    # By integration: 0.389 nats where x alone is cut off below 0, 0.347 where both are.
    x, z = (np.maximum(side, 0) for side in pairs)
    assert ksg(x, pairs[1], seed=0) == pytest.approx(0.389, abs=0.05)
    assert ksg(x, z, seed=0) == pytest.approx(0.347, abs=0.05)
    found = nearfar.estimate_mi(np.exp(3 * x), pairs[1], bounds=("info_nce",), **QUICK)
    assert found["info_nce"].value == pytest.approx(0.389, abs=0.1)


def test_heavy_tails_in_several_columns_keep_what_they_share():
    # Student's t of one degree in two dimensions: one divisor for all columns of a pair.
    x, z = gaussian_pairs(3000, 2, 0.5)
    divisor = np.abs(np.random.default_rng(2).normal(size=(3000, 1)))
    found = ksg(x / divisor, z / divisor, seed=0)
    assert found == pytest.approx(0.5 + divisor_information(1, 2), abs=0.15)


def divisor_information(degrees, dim):
    """What the common divisor of Student's t adds (Arellano-Valle et al. 2013), in nats."""

    def term(twice):
        return gammaln(twice / 2) - twice / 2 * digamma(twice / 2)

    return float(term(degrees) + term(degrees + 2 * dim) - 2 * term(degrees + dim))
