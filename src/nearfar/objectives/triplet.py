"""Triplet losses: an anchor is to be nearer to its positive than to its negative, by a margin."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.checks import (
    require_a_row,
    require_labels,
    require_pairs,
    require_positive,
    require_rows,
)
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.similarity.extremes import hardest, semi_hard
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.transformable import computed_again

_SIMILARITIES_AT_ONCE = 2**21
"""Those of a block of anchors to all rows: 8 MiB in float32."""


@rows_on_one_core
def triplet(
    anchors: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "batch dim"],
    *,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Triplet loss of given triplets (Schroff et al. 2015, equation 3).

    `max(0, ‖a − p‖² − ‖a − n‖² + margin)` over normalised rows. A triplet at or beyond the margin
    has loss 0 and gradient 0.

    Args:
        anchors: Normalised here, as are the others.
        positives: Row i is to be near row i of `anchors`.
        negatives: Row i is to be far from it.
        margin: Above 0; squared distances on the sphere go from 0 to 4. Schroff et al. use 0.2.

    Returns:
        Mean over triplets, a squared distance and not nats, 0 to 4 + margin: float64 for float64,
        else float32. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or there is no row.
        SettingError: The margin is not above 0.

    Source:
        Schroff, Kalenichenko and Philbin 2015, FaceNet: A Unified Embedding for Face Recognition
        and Clustering, arXiv:1503.03832.
    """
    require_pairs(anchors, positives)
    require_pairs(anchors, negatives)
    require_a_row(anchors, "triplet")
    require_positive("margin", margin)
    with without_autocast(anchors):
        return _hinges(
            unit_rows(anchors), unit_rows(positives), unit_rows(negatives), margin
        ).mean()


@rows_on_one_core
def batch_hard_triplet(
    embeddings: Float[Tensor, "batch dim"],
    labels: Integer[Tensor, " batch"],
    *,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Triplet loss with the hardest rows of the batch (Hermans et al. 2017, equation 5).

    `max(0, max_p ‖a − p‖² − min_n ‖a − n‖² + margin)` over positives p, the other rows of the
    anchor's label, and negatives n, the rows of other labels; here, as in `triplet`, of normalised
    rows and squared distances, where the authors take plain distances of raw rows. Rows without a
    positive only serve as negatives. Memory grows with the batch, not with its square.

    Args:
        embeddings: One row each; normalised here.
        labels: A class number for each row, 0 or above.
        margin: Above 0. A triplet at or beyond it has loss 0 and gradient 0.

    Returns:
        Mean over the rows that have a positive and a negative, 0 to 4 + margin: float64 for
        float64, else float32. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: No two rows share a label, or all do, or the labels do not fit.
        SettingError: The margin is not above 0.

    Source:
        Hermans, Beyer and Leibe 2017, In Defense of the Triplet Loss for Person Re-Identification,
        arXiv:1703.07737.
    """
    _require_triplets(embeddings, labels, margin, "batch_hard_triplet")
    with without_autocast(embeddings):
        rows, labels = unit_rows(embeddings), labels.long()
        itself = torch.arange(len(rows), device=rows.device)
        others = Pairs(apart=(itself, itself), together=(labels, labels))
        # On the sphere the farthest row is the least similar: ‖a − p‖² = 2 − 2 a·p.
        _, positives = hardest(rows, rows, pairs=others, largest=False)
        _, negatives = hardest(rows, rows, pairs=Pairs(apart=(labels, labels)), largest=True)
        anchors = _number_of_positives(labels).nonzero().squeeze(1)
        return _hinges(
            rows[anchors], rows[positives[anchors]], rows[negatives[anchors]], margin
        ).mean()


@rows_on_one_core
def semi_hard_triplet(
    embeddings: Float[Tensor, "batch dim"],
    labels: Integer[Tensor, " batch"],
    *,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Triplet loss with semi-hard negatives (Schroff et al. 2015, section 3.2).

    `max(0, ‖a − p‖² − ‖a − n‖² + margin)` over normalised rows, for every anchor a and every other
    row p of its label; n is the nearest row of another label that is farther from a than p is, or,
    where none is, the farthest. Memory grows with the number of such pairs, not with their rows.

    Args:
        embeddings: One row each; normalised here.
        labels: A class number for each row, 0 or above.
        margin: Above 0. A triplet at or beyond it has loss 0 and gradient 0.

    Returns:
        Mean over pairs of an anchor and a positive, 0 to 4 + margin: float64 for float64, else
        float32. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: No two rows share a label, or all do, or the labels do not fit.
        SettingError: The margin is not above 0.

    Source:
        Schroff, Kalenichenko and Philbin 2015, FaceNet: A Unified Embedding for Face Recognition
        and Clustering, arXiv:1503.03832.
    """
    _require_triplets(embeddings, labels, margin, "semi_hard_triplet")
    with without_autocast(embeddings):
        rows = unit_rows(embeddings)
        triplets = torch.stack(semi_hard(rows, labels.long()))
        block = max(1, _SIMILARITIES_AT_ONCE // len(rows))
        cuts = _number_of_positives(labels).cumsum(0)[block - 1 : -1 : block].tolist()
        total = rows.new_zeros(())
        for number, some in enumerate(triplets.tensor_split(cuts, dim=1)):
            anchors = slice(number * block, (number + 1) * block)
            # The backward pass computes the block again, so that no two are held together.
            total = total + computed_again(_sum_of_hinges, rows, anchors, some, margin)
        return total / triplets.shape[1]


def _require_triplets(embeddings: Tensor, labels: Tensor, margin: float, what: str) -> None:
    """Labels that make at least one triplet, and a margin."""
    require_rows("embeddings", embeddings)
    require_labels(labels, len(embeddings))
    require_positive("margin", margin)
    classes = len(labels.long().unique())
    if classes == len(labels):
        raise NearfarError(
            f"{what} needs two rows of one label, and all {classes} labels of this batch differ"
        )
    if classes == 1:
        raise NearfarError(
            f"{what} needs rows of two labels, and all {len(labels)} rows of this batch share one"
        )


def _number_of_positives(labels: Tensor) -> Tensor:
    """For each row, how many others have its label."""
    _, classes, sizes = labels.long().unique(return_inverse=True, return_counts=True)
    return sizes[classes] - 1


def _hinges(anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """Each triplet's loss, from unit rows."""
    to_positives = (anchors - positives).square().sum(dim=1)
    to_negatives = (anchors - negatives).square().sum(dim=1)
    return (to_positives - to_negatives + margin).relu()


def _sum_of_hinges(rows: Tensor, block: slice, triplets: Tensor, margin: float) -> Tensor:
    """The summed loss of the triplets, given as numbers of rows, whose anchors are in a block."""
    anchors, positives, negatives = triplets
    anchors = anchors - block.start
    # Of unit rows ‖a − p‖² − ‖a − n‖² = 2 a·n − 2 a·p; one product makes all pairs of a block.
    doubled = 2 * rows[block] @ rows.T
    return (doubled[anchors, negatives] - doubled[anchors, positives] + margin).relu().sum()
