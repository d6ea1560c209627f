"""CLIP's objective: images and texts in both directions, with a learned scale."""

from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.checks import require_pairs, require_scale, require_several
from nearfar.objectives.info_nce import in_both_directions
from nearfar.objectives.precision import scalar_in_full_precision, unit_rows, without_autocast
from nearfar.similarity.one_core import rows_on_one_core


@rows_on_one_core
def clip(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    scale: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Symmetric cross-entropy with a learned scale (Radford et al. 2021, figure 3).

    With `s_ij = scale · cosine`, the mean over i of
    `½ (lse_j s_ij − s_ii) + ½ (lse_j s_ji − s_ii)`: symmetric InfoNCE at temperature `1 / scale`.
    Both directions share every similarity. Memory grows with the batch, not with its square.

    Args:
        first: Embeddings of one kind (images); normalised here.
        second: Embeddings of the other (texts); row i belongs to row i of `first`.
        scale: Above 0. A tensor gets its gradient: pass `log_scale.exp().clamp(max=100)`, as the
            authors do, and learn `log_scale`. The value of a tensor is not looked at, because that
            would wait for the device.

    Returns:
        Mean over both directions, in nats: float64 for float64, else float32. `log(batch)` where
        all rows are equal. NaN or infinity in the embeddings or the scale gives NaN.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: The scale is a number not above 0, or a tensor of more than one.

    Source:
        Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision,
        arXiv:2103.00020.
    """
    require_pairs(first, second)
    require_several(first, "clip")
    require_scale("scale", scale)
    with without_autocast(first):
        scale = scalar_in_full_precision(scale)
        return in_both_directions(unit_rows(first), unit_rows(second), scale=scale)
