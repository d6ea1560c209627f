"""Objectives without negatives: views agree, and dimensions neither collapse nor repeat others.

Both compare dimensions over the batch, so they hold matrices of dim × dim, never of batch × batch.
Under ranks their statistics are those of the rows passed in: gather all ranks' rows first.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nearfar.objectives.checks import require_not_negative, require_pairs, require_several
from nearfar.objectives.precision import in_full_precision, without_autocast


def vicreg(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    similarity_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Variance-invariance-covariance regularisation (Bardes et al. 2022, equations 1 to 6).

        λ s(Z, Z′) + μ (v(Z) + v(Z′)) + ν (c(Z) + c(Z′))

        s = mean of (z_ij − z′_ij)² over rows and dimensions
        v = mean over dimensions of max(0, 1 − √(Var + 0.0001))
        c = (1/dim) Σ_{i≠j} Cov_ij²

    of raw rows; Var and Cov are unbiased (divided by batch − 1). Two points on which the sources
    differ: s is the mean over dimensions too, as in the paper's algorithm 1 and in the published
    program (equation 5 sums over dimensions), and the v of both views are added, as in the paper
    (the program halves them: `variance_weight=12.5`).

    Args:
        first: Embeddings of one view; not normalised.
        second: Embeddings of the other; row i belongs to row i of `first`.
        similarity_weight: λ, 0 or above.
        variance_weight: μ, 0 or above.
        covariance_weight: ν, 0 or above.

    Returns:
        A sum of squares in the embeddings' units, not nats, 0 or above: float64 for float64, else
        float32. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: A weight is negative.

    Source:
        Bardes, Ponce and LeCun 2022, VICReg, arXiv:2105.04906.
    """
    require_pairs(first, second)
    require_several(first, "vicreg")
    require_not_negative("similarity_weight", similarity_weight)
    require_not_negative("variance_weight", variance_weight)
    require_not_negative("covariance_weight", covariance_weight)
    with without_autocast(first):
        views = in_full_precision(first), in_full_precision(second)
        similarity = F.mse_loss(*views)
        variance = covariance = 0.0
        for view in views:
            centred = view - view.mean(dim=0)
            covariances = centred.T @ centred / (len(view) - 1)
            # Added before the root: a constant dimension has a finite gradient.
            deviations = (covariances.diagonal() + 1e-4).sqrt()
            variance = variance + (1 - deviations).relu().mean()
            covariance = covariance + _off_diagonal(covariances).square().sum() / view.shape[1]
        return (
            similarity_weight * similarity
            + variance_weight * variance
            + covariance_weight * covariance
        )


def barlow_twins(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    off_diagonal_weight: float = 5e-3,
) -> Float[Tensor, ""]:
    """Correlations of two views near the identity, Barlow Twins (Zbontar et al. 2021, eq. 1 and 2).

        Σ_i (1 − C_ii)² + λ Σ_i Σ_{j≠i} C_ij²

    C is the correlation, over the batch, of each dimension of one view with each of the other. As
    in the published program, whose batch normalisation makes it, each dimension is divided by
    `√(Var + 0.00001)`, Var divided by batch; a constant dimension correlates with nothing.

    Args:
        first: Embeddings of one view; not normalised.
        second: Embeddings of the other; row i belongs to row i of `first`.
        off_diagonal_weight: λ, 0 or above.

    Returns:
        A sum of squared correlations, not nats, 0 or above; dim where the views have nothing in
        common: float64 for float64, else float32. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: The weight is negative.

    Source:
        Zbontar et al. 2021, Barlow Twins, arXiv:2103.03230.
    """
    require_pairs(first, second)
    require_several(first, "barlow_twins")
    require_not_negative("off_diagonal_weight", off_diagonal_weight)
    with without_autocast(first):
        views = _standardised(first), _standardised(second)
        wide = torch.promote_types(views[0].dtype, views[1].dtype)
        correlations = views[0].to(wide).T @ views[1].to(wide) / len(first)
        on_diagonal = (1 - correlations.diagonal()).square().sum()
        return on_diagonal + off_diagonal_weight * _off_diagonal(correlations).square().sum()


def _standardised(view: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
    """Each dimension with mean 0 and variance 1 over the batch; a constant one is 0."""
    centred = in_full_precision(view)
    centred = centred - centred.mean(dim=0)
    return centred / (centred.square().mean(dim=0) + 1e-5).sqrt()


def _off_diagonal(matrix: Float[Tensor, "dim dim"]) -> Float[Tensor, "less dim"]:
    """All entries but those of the diagonal, without a copy where the matrix allows it."""
    dim = len(matrix)
    # Without the last entry, every line of dim + 1 begins with an entry of the diagonal.
    return matrix.reshape(-1)[:-1].view(dim - 1, dim + 1)[:, 1:]
