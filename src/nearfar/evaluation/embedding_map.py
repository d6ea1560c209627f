"""A two-dimensional map of features, for the eye."""

import numpy as np
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from nearfar.evaluation.geometry_specs import MapSpec
from nearfar.evaluation.judged import MOST_SHOWN, Found, Judged
from nearfar.objectives.precision import unit_rows

FEWEST_FOR_TSNE = 20
ITERATIONS = 500


def embedding_map(features: Float[Tensor, "n dim"], *, seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """t-SNE of the L2-normalised features (van der Maaten & Hinton 2008), after PCA to 50 dims.

    Distances within a cluster mean something, distances between clusters little. The same features
    and seed give the same map on the same machine.

    Args:
        features: At most `MOST_SHOWN` rows; fewer than 20 are mapped by PCA alone.
        seed: Seeds t-SNE.

    Raises:
        ValueError: If there are more rows than `MOST_SHOWN`.
    """
    if len(features) > MOST_SHOWN:
        raise ValueError(f"a map of {len(features)} points: give at most {MOST_SHOWN}")
    points = unit_rows(features).float().numpy()
    count, dim = points.shape
    flat = torch.zeros(count, 2).numpy()
    if count < 3 or not np.ptp(points, axis=0).any():
        return flat
    kept = min(50, count, dim)
    reduced = PCA(kept, random_state=seed).fit_transform(points)
    if count < FEWEST_FOR_TSNE or kept < 2:
        flat[:, : min(2, kept)] = reduced[:, :2]
        return flat
    tsne = TSNE(
        perplexity=min(30, (count - 1) / 3),
        init="pca",
        max_iter=ITERATIONS,
        random_state=seed,
    )
    return tsne.fit_transform(reduced).astype(np.float32)


def judge(_: MapSpec, judged: Judged) -> Found:
    """The map of the examples on show."""
    features = judged.test[judged.shown_rows]
    judged.say("map")
    drawn = {f"{judged.prefix}shown_map": embedding_map(features, seed=judged.seed)}
    return Found(arrays=drawn | judged.shown_arrays)
