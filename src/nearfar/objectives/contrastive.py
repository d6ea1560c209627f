"""The contrastive loss with negatives of its own for each pair."""

from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_a_row, require_pairs, require_positive
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.objectives.shares import minus_log_share


def contrastive(
    anchors: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "batch negatives dim"],
    *,
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """Contrastive loss with M negatives a pair (Wang & Isola 2020, equation 1).

    `−log( e^{x·y/T} / (e^{x·y/T} + Σ_{m=1}^M e^{x_m⁻·y/T}) )` for anchor y, positive x and
    negatives x_m⁻ drawn independently of them, over normalised rows.

    Args:
        anchors: One row an example; normalised here.
        positives: Row i is the positive of row i of `anchors`; normalised here.
        negatives: M ≥ 1 rows for each anchor; normalised here.
        temperature: Above 0.

    Returns:
        Mean over the anchors, in nats: float64 for float64, else float32. `log(1 + M)` where all
        rows are equal. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: Shapes do not fit, or there is no anchor, or no negative.
        SettingError: The temperature is not above 0.

    Source:
        Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, arXiv:2005.10242.
    """
    require_pairs(anchors, positives)
    require_a_row(anchors, "contrastive")
    require_positive("temperature", temperature)
    batch, dim = anchors.shape
    if negatives.ndim != 3 or negatives.shape[::2] != (batch, dim) or not negatives.shape[1]:
        raise NearfarError(
            f"negatives must be ({batch}, M, {dim}) with M of 1 or more, and are"
            f" {tuple(negatives.shape)}"
        )
    with without_autocast(anchors):
        anchors = unit_rows(anchors)
        own = (anchors * unit_rows(positives)).sum(dim=1) / temperature
        others = (anchors.unsqueeze(1) * unit_rows(negatives)).sum(dim=2) / temperature
        return minus_log_share(own, others.logsumexp(dim=1)).mean()
