import numpy as np
import pytest
from gaussians import gaussian_pairs
from scipy.special import digamma
from scipy.stats import norm, rankdata
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from nearfar.information.ksg import ksg, ksg_of_labels

TIES = 2e-3
"""Two columns of ranks have some distances in common; noise of 1e-10 decides which is nearer."""


def by_rank(values):
    """Normal scores of columns without equal values, scaled to unit variance."""
    scores = norm.ppf((rankdata(values, axis=0) - 0.5) / len(values))
    return scores / scores.std(axis=0)


def ksg_by_loops(x, z, k=3):
    """Kraskov's first estimator from its definition, of normal scores, all distances held."""
    n = len(x)
    x, z = by_rank(x), by_rank(z)
    apart_x = np.abs(x[:, None] - x[None]).max(axis=2)
    apart_z = np.abs(z[:, None] - z[None]).max(axis=2)
    total = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        distance = sorted(max(apart_x[i, j], apart_z[i, j]) for j in others)[k - 1]
        near_x = sum(apart_x[i, j] < distance for j in others)
        near_z = sum(apart_z[i, j] < distance for j in others)
        total += digamma(near_x + 1) + digamma(near_z + 1)
    return digamma(k) + digamma(n) - total / n


@pytest.mark.parametrize("dim", [1, 3])
def test_ksg_is_its_definition(dim):
    x, z = gaussian_pairs(120, dim, 1.0)
    z = np.hstack([z, z[:, :1] ** 2])  # sides of different width
    assert ksg(x, z, seed=0) == pytest.approx(ksg_by_loops(x, z), abs=TIES)


def test_ksg_in_one_dimension_is_scikit_learns():
    x, z = gaussian_pairs(1000, 1, 0.7)
    [expected] = mutual_info_regression(by_rank(x), by_rank(z)[:, 0], random_state=0)
    assert ksg(x, z, seed=0) == pytest.approx(expected, abs=TIES)


def test_ksg_of_labels_in_one_dimension_is_scikit_learns():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 900)
    labels[0] = 3  # a label of one sample
    x = random.normal(size=(900, 1)) + 2 * labels[:, None]
    [expected] = mutual_info_classif(by_rank(x), labels, random_state=0)
    assert ksg_of_labels(x, labels, seed=0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("dim", "information"), [(1, 0.0), (2, 0.5), (3, 1.5)])
def test_ksg_of_gaussians_is_near_the_closed_form(dim, information):
    x, z = gaussian_pairs(3000, dim, information)
    assert ksg(x, z, seed=0) == pytest.approx(information, abs=0.12)


def test_equal_values_and_a_constant_column_do_no_harm():
    random = np.random.default_rng(0)
    x = np.hstack([random.integers(0, 4, (1000, 1)).astype(float), np.ones((1000, 1))])
    assert ksg(x, x[:, :1], seed=0) > 0.9  # log 4 = 1.39 in truth
    assert abs(ksg(x, random.normal(size=(1000, 1)), seed=0)) < 0.15
