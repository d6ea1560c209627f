"""BYOL's regression of a target's projection."""

from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.checks import require_a_row, require_pairs
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.similarity.one_core import rows_on_one_core


@rows_on_one_core
def byol(
    predictions: Float[Tensor, "batch dim"], targets: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """Squared distance of a prediction to its target on the sphere (Grill et al. 2020, equation 2).

    `‖q̄ − z̄‖² = 2 − 2 cos(q, z)`, with no gradient to the targets: they are detached here. The
    method adds the loss with the views exchanged; call it for both and add.

    Args:
        predictions: The predictor's output on one view; normalised here.
        targets: The target network's projection of the other view; normalised here. Row i belongs
            to row i of `predictions`.

    Returns:
        Mean over rows, 0 (same direction) to 4 (opposite): float64 for float64, else float32. NaN
        or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or there is no row.

    Source:
        Grill et al. 2020, Bootstrap Your Own Latent, arXiv:2006.07733.
    """
    require_pairs(predictions, targets)
    require_a_row(predictions, "byol")
    with without_autocast(predictions):
        differences = unit_rows(predictions) - unit_rows(targets.detach())
        return differences.square().sum(dim=1).mean()
