"""A two-dimensional map of features, for the eye."""

import numpy as np
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from nearfar.objectives.precision import unit_rows

MAX_POINTS = 2000
FEWEST_FOR_TSNE = 20
ITERATIONS = 500


def embedding_map(features: Float[Tensor, "n dim"], *, seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """t-SNE of the L2-normalised features (van der Maaten & Hinton 2008), after PCA to 50 dims.

    Distances within a cluster mean something, distances between clusters little. The same features
    and seed give the same map on the same machine.

    Args:
        features: At most `MAX_POINTS` rows; fewer than 20 are mapped by PCA alone.
        seed: Seeds t-SNE.

    Raises:
        ValueError: If there are more rows than `MAX_POINTS`.
    """
    if len(features) > MAX_POINTS:
        raise ValueError(f"a map of {len(features)} points: give at most {MAX_POINTS}")
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
