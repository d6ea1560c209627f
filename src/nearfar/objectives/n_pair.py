"""The multi-class N-pair loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.checks import require_pairs, require_several
from nearfar.objectives.precision import in_full_precision, without_autocast
from nearfar.objectives.shares import minus_log_share
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


@rows_on_one_core
def n_pair(
    anchors: Float[Tensor, "batch dim"], positives: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """Multi-class N-pair loss (Sohn 2016).

    `mean_i log( 1 + Σ_{j≠i} e^{g_i·g_j⁺ − g_i·g_i⁺} )` over raw dot products: InfoNCE at
    temperature 1 on rows that are not normalised. The paper adds a penalty on the rows' squared
    norms, which is not part of this. Memory grows with the batch, not with its square.

    Args:
        anchors: One row an example, each of another class; not normalised.
        positives: Row i is the positive of row i of `anchors`; not normalised.

    Returns:
        Mean over the anchors, in nats: float64 for float64, else float32. `log(batch)` where all
        rows are equal. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.

    Source:
        Sohn 2016, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NIPS 2016.
    """
    require_pairs(anchors, positives)
    require_several(anchors, "n_pair")
    with without_autocast(anchors):
        anchors, positives = _nan_if_infinite(anchors), _nan_if_infinite(positives)
        places = torch.arange(len(anchors), device=anchors.device)
        others = logsumexp(anchors, positives, pairs=Pairs(apart=(places, places)))
        return minus_log_share((anchors * positives).sum(dim=1), others).mean()


def _nan_if_infinite(embeddings: Tensor) -> Tensor:
    """Full precision, infinity as NaN: e^−∞ would hide a broken row behind a loss of 0."""
    rows = in_full_precision(embeddings)
    return torch.where(rows.isinf(), torch.nan, rows)
