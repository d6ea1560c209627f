"""Forms in which features may be judged, fitted on training features without their labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nearfar.objectives.precision import unit_rows as to_unit_rows

SHRINKAGE = (1.0, 0.1)
"""Mean variances that whitening adds to the variance of each axis."""
SMALLEST_SPREAD = 1e-6
"""Share of the largest deviation below which a feature counts as constant."""
_BLOCK = 4_096
KEPT_LENGTHS = frozenset({"centred", "standardised"})
"""Transforms that a probe is also offered without bringing rows to length 1."""
MOST_FEATURES = 3_200
"""Features beyond which their axes are not looked for: the work grows with the cube."""
MOST_ROWS = 10_000
"""Rows that the axes are found from at most, evenly spread."""


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
        """The features in this form, float32."""
        if self.mean is None:
            return features
        return torch.cat([self._of(block) for block in features.split(_BLOCK)])

    def _of(self, features: Tensor) -> Tensor:
        assert self.mean is not None
        centred = (features.double() - self.mean).float()
        if self.factor is None:
            return centred
        return centred * self.factor if self.factor.ndim == 1 else centred @ self.factor


AS_IS = Transform("as is")
"""Nothing is done."""


def is_too_large_to_whiten(train: Float[Tensor, "n dim"]) -> bool:
    """Whether principal axes are not looked for: the work grows with the cube."""
    return min(train.shape) > MOST_FEATURES


def transforms(train: Float[Tensor, "n dim"]) -> tuple[Transform, ...]:
    """Every form, from features as they are to whitened ones.

    As cosines look at them: where features are far from 0, such as the pixels of bright pictures,
    all rows point the same way unless the mean is taken off; and few axes of large variance, such
    as brightness, drown all others unless they are whitened. Standardising divides each feature by
    its deviation. Whitening with shrinkage s divides the principal axis of variance λ by
    √(λ + s λ̄), λ̄ the mean variance, so that axes of noise alone are not blown up; it is left out
    where it costs too much (`is_too_large_to_whiten`).
    """
    mean = train.double().mean(dim=0)
    centred = Transform("centred", mean)
    rows = centred(train)
    spread = rows.square().mean(dim=0, dtype=torch.float64).sqrt()
    varies = spread > SMALLEST_SPREAD * spread.max()
    factors = torch.where(varies, 1 / spread, 0.0).float()
    if is_too_large_to_whiten(train) or not bool(varies.any()):
        return AS_IS, centred, Transform("standardised", mean, factors)
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


@dataclass(frozen=True, eq=False)
class Form:
    """Transforms rows, brings them to length 1, takes off their mean, divides by one factor.

    Rows have length 1 because that is what kNN and the contrastive losses look at; tables of
    measures, where the length tells something, may keep theirs. Afterwards the mean squared length
    is 1, which gives a penalty the same meaning for features of any kind.

    Attributes:
        transform: What is done first.
        unit_rows: Whether rows are brought to length 1.
        mean: `(r,)` of the training features, then.
        length: Root of the mean squared length of the centred training features.
    """

    transform: Transform
    unit_rows: bool
    mean: Tensor
    length: float

    @classmethod
    def of(
        cls, train: Float[Tensor, "n dim"], transform: Transform, *, unit_rows: bool = True
    ) -> "Form":
        """The form that training features ask for; `transform` is fitted on them."""
        rows = transform(train)
        rows = to_unit_rows(rows) if unit_rows else rows
        mean = rows.double().mean(dim=0).float()
        length = float((rows - mean).square().sum(dim=1).double().mean().sqrt())
        return cls(transform, unit_rows, mean, length or 1.0)

    def __call__(self, features: Float[Tensor, "m dim"]) -> Float[Tensor, "m r"]:
        """Training or test features in this form."""
        rows = self.transform(features)
        rows = to_unit_rows(rows) if self.unit_rows else rows
        return (rows - self.mean) / self.length

    @property
    def name(self) -> str:
        """As records call it."""
        return self.transform.name + ("" if self.unit_rows else ", lengths kept")


def forms(train: Float[Tensor, "n dim"], transforms: Sequence[Transform]) -> tuple[Form, ...]:
    """Every form that a probe is offered; `transforms` are fitted on the training features."""
    unit = [Form.of(train, transform) for transform in transforms]
    kept = [
        Form.of(train, transform, unit_rows=False)
        for transform in transforms
        if transform.name in KEPT_LENGTHS
    ]
    return (*unit, *kept)


def principal_axes(
    centred: Float[Tensor, "n dim"],
) -> tuple[Float[Tensor, "dim r"], Float[Tensor, " r"]]:
    """Orthonormal axes along which the features vary, and their variance along each.

    Args:
        centred: Features without their mean, `min(n, dim)` at most 3200.

    Returns:
        The axes as columns, least variance first: as many as features, or as there are rows to
        tell them from.
    """
    step = max(1, -(-len(centred) // MOST_ROWS))
    rows = centred[::step]
    count, dim = rows.shape
    if count >= dim:
        variances, axes = torch.linalg.eigh(rows.T @ rows / count)
        return axes, variances.clamp(min=0)
    variances, sides = torch.linalg.eigh(rows @ rows.T / count)
    kept = variances > variances.max() * 1e-6
    if not bool(kept.any()):
        return torch.eye(dim, 1), torch.zeros(1)
    # Orthonormal again: what rounding took from axes of little variance.
    axes, _ = torch.linalg.qr(rows.T @ sides[:, kept])
    return axes, variances[kept]
