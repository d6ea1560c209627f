"""Principal axes of features, where they are few enough to find."""

import torch
from jaxtyping import Float
from torch import Tensor

MOST_FEATURES = 3_200
"""Features beyond which their axes are not looked for: the work grows with the cube."""
MOST_ROWS = 10_000
"""Rows that the axes are found from at most, evenly spread."""


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
