"""Mutual information from distances to nearest neighbours: no network, for low dimension."""

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from scipy.special import digamma

from nearfar.information.samples import normal_scores

LARGEST_DIMENSION = 5
"""Columns of a side beyond which neighbours are too far away to tell a density."""
_NEIGHBORS = 3
_MOST_SAMPLES = 5000
_JITTER = 1e-10


def ksg(x: Float[ndarray, "n features"], z: Float[ndarray, "n others"], *, seed: int) -> float:
    """Mutual information of two continuous variables by their nearest neighbours.

    With `ε_i` the distance of pair i to its k-th nearest pair (k = 3, the largest difference over
    all columns), and `n_x`, `n_z` the samples closer than `ε_i` in x alone and in z alone:

        I = ψ(k) + ψ(n) − ⟨ψ(n_x + 1) + ψ(n_z + 1)⟩

    Nearly free of bias where x and z are close to independent. Too low where they depend strongly:
    it takes a number of samples that grows like `e^I`. Columns are taken by their normal scores,
    which leave I as it is and know neither units nor outliers; equal values are told apart by noise
    of 1e-10. Beyond 5000 samples it looks at 5000 of them.

    Args:
        x: One row a sample; not constant.
        z: Likewise.
        seed: Decides the noise and which samples are looked at.

    Returns:
        In nats; may lie below 0 by chance.

    Source: Kraskov, Stögbauer and Grassberger 2004, first estimator.
    """
    random = np.random.default_rng(seed)
    chosen = _chosen(len(x), random)
    x, z = _scaled(x[chosen], random), _scaled(z[chosen], random)
    joint = np.hstack([x, z])
    distance = KDTree(joint).query(joint, _NEIGHBORS + 1, p=np.inf)[0][:, -1]
    near_x, near_z = _count(x, distance), _count(z, distance)
    ends = digamma(_NEIGHBORS) + digamma(len(x))
    return float(ends - np.mean(digamma(near_x) + digamma(near_z)))


def ksg_of_labels(
    x: Float[ndarray, "n features"], labels: Int64[ndarray, " n"], *, seed: int
) -> float:
    """Mutual information of a continuous variable and a label by nearest neighbours.

    With `ε_i` the distance of sample i to its k-th nearest sample of the same label, `n_y` the
    samples of that label and `m_i` the samples of any label closer than `ε_i`, itself among them:

        I = ψ(n) + ⟨ψ(k)⟩ − ⟨ψ(n_y)⟩ − ⟨ψ(m_i)⟩

    A label of a single sample is left out; k is 3, or as many as the label has besides.

    Args:
        x: One row a sample; not constant.
        labels: One a sample.
        seed: As for `ksg`.

    Returns:
        In nats; may lie below 0 by chance.

    Source: Ross 2014.
    """
    random = np.random.default_rng(seed)
    chosen = _chosen(len(x), random)
    x, labels = _scaled(x[chosen], random), labels[chosen]
    sizes = np.bincount(labels)[labels]
    x, labels, sizes = x[sizes > 1], labels[sizes > 1], sizes[sizes > 1]
    neighbors = np.minimum(_NEIGHBORS, sizes - 1)
    distance = np.empty(len(x))
    for label in np.unique(labels):
        own = labels == label
        k = int(neighbors[own][0])
        distance[own] = KDTree(x[own]).query(x[own], k + 1, p=np.inf)[0][:, -1]
    means = np.mean(digamma(neighbors) - digamma(sizes) - digamma(_count(x, distance)))
    return float(digamma(len(x)) + means)


def _chosen(count: int, random: np.random.Generator) -> Int64[ndarray, " chosen"]:
    return random.permutation(count)[:_MOST_SAMPLES]


def _scaled(values: ndarray, random: np.random.Generator) -> Float[ndarray, "n d"]:
    """Normal scores in columns of unit variance, 0 if constant, with no two values equal."""
    scores = _JITTER * random.standard_normal(values.shape)
    for place, column in enumerate(values.T):
        of_known = normal_scores(column)
        spread = of_known.std()
        scores[:, place] += of_known / (spread if spread > 0 else 1.0)
    return scores


def _count(points: Float[ndarray, "n d"], distance: Float[ndarray, " n"]) -> Int64[ndarray, " n"]:
    """Points strictly closer to each than its distance, itself among them."""
    inside = np.nextafter(distance, 0)
    return KDTree(points).query_ball_point(points, inside, p=np.inf, return_length=True)
