"""k-means of features on the sphere, and how far its clusters are the classes."""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from nearfar.evaluation.accuracy import LabelledFeatures
from nearfar.evaluation.forms import Transform
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record, over_draws
from nearfar.evaluation.retrieval_specs import ClusteringSpec
from nearfar.objectives.precision import unit_rows

MOST_ROUNDS = 100
"""Rounds of k-means at most."""
CHOICE_LIMIT = 2_500
"""Training examples that the choice of a transform uses at most."""


def clusters_of(
    features: Float[Tensor, "n dim"], clusters: int, *, seed: int
) -> Int64[np.ndarray, " n"]:
    """k-means (Lloyd) of the features brought to length 1, from one start of k-means++.

    Args:
        features: In any scale.
        clusters: How many; no more than there are examples are made.
        seed: Seeds the start.

    Returns:
        The number of each example's cluster.
    """
    rows = unit_rows(features).float().numpy()
    means = KMeans(
        min(clusters, len(rows)),
        n_init=1,  # pyright: ignore[reportArgumentType]
        max_iter=MOST_ROUNDS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer points than clusters
        return means.fit_predict(rows).astype(np.int64)


def judge(spec: ClusteringSpec, judged: Judged) -> Found:
    """NMI and ARI over several starts, in the form that serves training data best."""
    data = judged.labelled
    draws = torch.Generator().manual_seed(judged.seed)
    rows = torch.randperm(len(data.test), generator=draws)[: spec.examples].sort().values
    labels = data.test_labels[rows].numpy()
    clusters = spec.clusters or len(np.unique(labels))
    judged.say(f"clustering: {judged.kind}, choosing a form")
    transform = choose_transform(data, judged.seed)
    features = transform(data.test[rows])
    found = []
    for start in range(spec.seeds):
        judged.say(f"clustering: {judged.kind}, start {start + 1}", start / spec.seeds)
        found.append(clusters_of(features, clusters, seed=judged.seed + start))
    scores = {
        "normalised_mutual_information": [normalized_mutual_info_score(labels, c) for c in found],
        "adjusted_rand_index": [adjusted_rand_score(labels, c) for c in found],
    }
    records = []
    for name, values in scores.items():
        values = [float(value) for value in values]
        mean, sd = over_draws(values)
        parameters = {
            "clusters": clusters,
            "draws": spec.seeds,
            "values": values,
            "transform": transform.name,
        }
        records.append(Record(name, judged.kind, "mean", mean, len(rows), sd, parameters))
    return Found(records)


def choose_transform(data: LabelledFeatures, seed: int) -> Transform:
    """The transform whose clusters of some training examples agree best with their classes.

    Of equals the first wins. Test features have no business here.
    """
    draws = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(data.train), generator=draws)[:CHOICE_LIMIT]
    labels = data.train_labels[rows].numpy()
    scores = [
        normalized_mutual_info_score(
            labels, clusters_of(transform(data.train[rows]), len(np.unique(labels)), seed=seed)
        )
        for transform in data.transforms
    ]
    return data.transforms[max(range(len(scores)), key=scores.__getitem__)]
