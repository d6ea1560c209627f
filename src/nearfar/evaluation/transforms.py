"""Forms in which features may be judged, fitted on training features without their labels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nearfar.evaluation.principal_axes import MOST_FEATURES, principal_axes

SHRINKAGE = (1.0, 0.1)
"""Mean variances that whitening adds to the variance of each axis."""
SMALLEST_SPREAD = 1e-6
"""Share of the largest deviation below which a feature counts as constant."""
_BLOCK = 4_096


@dataclass(frozen=True, eq=False)
class Transform:
    """One form of features.

    Attributes:
        name: "as is", "centred", "standardised", or "whitened" with its shrinkage.
        mean: `(dim,)`, taken off first, in float64; None takes off nothing.
        factor: `(dim,)` factors or a `(dim, r)` matrix, or None.
        axes: `(r, r)`, about the principal axes of what comes out; None where they are its columns,
            or are not known.
    """

    name: str
    mean: Float64[Tensor, " dim"] | None = None
    factor: Tensor | None = None
    axes: Tensor | None = None

    def __call__(self, features: Float[Tensor, "n dim"]) -> Float[Tensor, "n r"]:
        """The features in this form, float32.

        Args:
            features: As they come from the encoder or the data.
        """
        if self.mean is None:
            return features
        return torch.cat([self._of(block) for block in features.split(_BLOCK)])

    def _of(self, features: Tensor) -> Tensor:
        assert self.mean is not None
        centred = (features.double() - self.mean).float()
        if self.factor is None:
            return centred
        return centred * self.factor if self.factor.ndim == 1 else centred @ self.factor


def is_too_large_to_whiten(train: Float[Tensor, "n dim"]) -> bool:
    """Whether principal axes are not looked for: the work grows with the cube.

    Args:
        train: Training features.
    """
    return min(train.shape) > MOST_FEATURES


def transforms(train: Float[Tensor, "n dim"]) -> tuple[Transform, ...]:
    """Every form, from features as they are to whitened ones.

    As cosines look at them: where features are far from 0, such as the pixels of bright pictures,
    all rows point the same way unless the mean is taken off; and few axes of large variance, such
    as brightness, drown all others unless they are whitened. Standardising divides each feature by
    its deviation. Whitening with shrinkage s divides the principal axis of variance λ by
    √(λ + s λ̄), λ̄ the mean variance, so that axes of noise alone are not blown up; it is left out
    where it costs too much (`is_too_large_to_whiten`).

    Args:
        train: Training features; labels are not needed.
    """
    mean = train.double().mean(dim=0)
    centred = Transform("centred", mean)
    rows = centred(train)
    spread = rows.square().mean(dim=0, dtype=torch.float64).sqrt()
    varies = spread > SMALLEST_SPREAD * spread.max()
    factors = torch.where(varies, 1 / spread, 0.0).float()
    if is_too_large_to_whiten(train) or not bool(varies.any()):
        return Transform("as is"), centred, Transform("standardised", mean, factors)
    axes, variances = principal_axes(rows)
    known = axes if axes.shape[0] == axes.shape[1] else None
    average = variances.sum() / train.shape[1]
    whitened = [
        Transform(f"whitened {share:g}", mean, axes * (variances + share * average).rsqrt())
        for share in SHRINKAGE
    ]
    return (
        Transform("as is", axes=known),
        Transform("centred", mean, axes=known),
        Transform("standardised", mean, factors, axes=known),
        *whitened,
    )
