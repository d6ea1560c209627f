"""Gaussian variables, whose entropy, divergence and mutual information are known exactly."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.estimators.scores import SeparableScores
from nearfar.objectives.checks import require_not_negative, require_pairs
from nearfar.objectives.precision import in_full_precision


def gaussian_entropy(covariance: Float[Tensor, "dim dim"]) -> Float[Tensor, ""]:
    """Differential entropy `½ log det(2πe Σ)`, in nats.

    Args:
        covariance: Symmetric and positive definite.

    Raises:
        NearfarError: It is not.
    """
    dim = len(covariance)
    return (_log_determinant(_factor(covariance)) + dim * math.log(2 * math.pi * math.e)) / 2


def gaussian_kl(
    mean: Float[Tensor, " dim"],
    covariance: Float[Tensor, "dim dim"],
    other_mean: Float[Tensor, " dim"],
    other_covariance: Float[Tensor, "dim dim"],
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Gaussians, in nats.

    `½ ( tr(Σ_q⁻¹ Σ_p) + (μ_q − μ_p)ᵀ Σ_q⁻¹ (μ_q − μ_p) − d + log det Σ_q − log det Σ_p )`

    Args:
        mean: Of p.
        covariance: Of p; symmetric and positive definite.
        other_mean: Of q.
        other_covariance: Of q; likewise.

    Raises:
        NearfarError: A covariance is not positive definite.
    """
    ours, theirs = _factor(covariance), _factor(other_covariance)
    # tr(Σ_q⁻¹ Σ_p) and the quadratic form are squared lengths after one triangular solve.
    spread = torch.linalg.solve_triangular(theirs, ours, upper=False).square().sum()
    shift = in_full_precision(other_mean - mean)[:, None]
    distance = torch.linalg.solve_triangular(theirs, shift, upper=False).square().sum()
    volumes = _log_determinant(theirs) - _log_determinant(ours)
    return (spread + distance - len(mean) + volumes) / 2


def gaussian_information(covariance: Float[Tensor, "dim dim"], first: int) -> Float[Tensor, ""]:
    """Mutual information of two parts of a Gaussian vector, in nats.

    `½ log( det Σ_xx det Σ_yy / det Σ )`

    Args:
        covariance: Of the two parts together, x first; symmetric and positive definite.
        first: How many dimensions belong to x, 1 or more, leaving 1 or more to y.

    Raises:
        NearfarError: The covariance is not positive definite.
        SettingError: x or y would have no dimension.
    """
    if not 0 < first < len(covariance):
        raise SettingError(
            f"first is {first}: of {len(covariance)} dimensions, x and y need one or more each"
        )
    parts = covariance[:first, :first], covariance[first:, first:]
    apart = sum(_log_determinant(_factor(part)) for part in parts)
    return (apart - _log_determinant(_factor(covariance))) / 2


def correlated_information(correlation: float, dim: int) -> float:
    """Mutual information `−(d/2) log(1 − ρ²)` of standard normal x and y, in nats.

    Each of the d dimensions of x correlates with the same of y, and with nothing else.

    Args:
        correlation: ρ, above −1 and below 1.
        dim: d, 1 or more.

    Raises:
        SettingError: A number is out of range.
    """
    _require_correlation(correlation)
    _require_dimension(dim)
    return -dim / 2 * math.log1p(-(correlation**2))


def correlation_for(information: float, dim: int) -> float:
    """The correlation `√(1 − e^{−2I/d})` at which `correlated_information` is `information`.

    Args:
        information: In nats, 0 or above.
        dim: d, 1 or more.

    Raises:
        SettingError: A number is out of range.
    """
    require_not_negative("information", information)
    _require_dimension(dim)
    return math.sqrt(-math.expm1(-2 * information / dim))


def correlated_log_ratio(
    x: Float[Tensor, "n dim"], y: Float[Tensor, "n dim"], correlation: float
) -> SeparableScores:
    """The optimal critic of correlated standard normal pairs: `log p(x,y) / (p(x)p(y))`.

    `Σ_k [ (ρ x_k y_k − ½ ρ² (x_k² + y_k²)) / (1 − ρ²) − ½ log(1 − ρ²) ]`, which is a dot product
    of d + 2 numbers of x and of y.

    Args:
        x: One row an example.
        y: Row i is the partner of row i of `x`.
        correlation: ρ of each dimension of x with the same of y, above −1 and below 1.

    Raises:
        NearfarError: The shapes differ, or there are fewer than 2 rows.
        SettingError: The correlation is out of range.
    """
    require_pairs(x, y)
    _require_correlation(correlation)
    x, y = in_full_precision(x), in_full_precision(y)
    ones, rest = x.new_ones(len(x), 1), 1 - correlation**2

    def own_term(rows: Tensor) -> Tensor:
        squares = rows.square().sum(dim=1, keepdim=True)
        return -(correlation**2 / rest * squares + x.shape[1] / 2 * math.log(rest)) / 2

    queries = torch.cat((correlation / rest * x, own_term(x), ones), dim=1)
    return SeparableScores(queries, torch.cat((y, ones, own_term(y)), dim=1))


def _factor(covariance: Tensor) -> Float[Tensor, "dim dim"]:
    full = in_full_precision(covariance)
    if full.ndim != 2 or full.shape[0] != full.shape[1]:
        raise NearfarError(f"a covariance must be (dim, dim), and is {tuple(full.shape)}")
    factor, failed = torch.linalg.cholesky_ex(full)
    if failed.item() or not torch.allclose(full, full.T):
        raise NearfarError("the covariance is not symmetric and positive definite")
    return factor


def _log_determinant(factor: Tensor) -> Float[Tensor, ""]:
    return 2 * factor.diagonal().log().sum()


def _require_correlation(correlation: float) -> None:
    """Above −1 and below 1, where the density exists."""
    if not -1 < correlation < 1:
        raise SettingError(f"correlation is {correlation}: it must be above -1 and below 1")


def _require_dimension(dim: int) -> None:
    if dim < 1:
        raise SettingError(f"dim is {dim}: it must be 1 or more")
