"""InfoNCE: a query's own key among other keys, those of the batch, of a queue, or its own."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives.checks import (
    require_a_row,
    require_pairs,
    require_positive,
    require_scale,
    require_several,
)
from nearfar.objectives.precision import (
    minus_log_share,
    nan_if_infinite,
    scalar_in_full_precision,
    unit_rows,
    without_autocast,
)
from nearfar.similarity.logsumexp import logsumexp, row_and_column_logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


@rows_on_one_core
def info_nce(
    queries: Float[Tensor, "batch dim"],
    keys: Float[Tensor, "batch dim"],
    *,
    temperature: float = 0.1,
    negatives: Float[Tensor, "queue dim"] | None = None,
    symmetric: bool = False,
) -> Float[Tensor, ""]:
    """InfoNCE: a query's own key among other keys (van den Oord et al. 2018, equation 4).

    With `s = cosine / T`, a query's loss is `−s_i⁺ + log( e^{s_i⁺} + Σ_j e^{s_ij⁻} )`. Its positive
    is its own key; its negatives are the other keys of the batch or, where `negatives` is given,
    those alone. It is computed as `log(1 + e^{lse of the negatives − s_i⁺})`, which is the same and
    keeps its precision where the loss is nearly 0. Memory grows with the batch, not its square.

    Args:
        queries: Normalised here.
        keys: Row i is the positive of row i of `queries`; normalised here.
        temperature: Above 0.
        negatives: Takes the place of the batch's other keys (MoCo's queue): one row or more, only
            those that are filled, without the keys of this batch; normalised here.
        symmetric: The mean of both directions, queries among keys and keys among queries, at the
            cost of one.

    Returns:
        Mean over the queries, in nats: float64 for float64, else float32. `log(batch)` where all
        rows are equal, `log(1 + queue)` with a queue. NaN or infinity in the embeddings gives NaN.

    Raises:
        NearfarError: Shapes do not fit, the batch is below 2 (below 1 with a queue), or the queue
            is empty.
        SettingError: The temperature is not above 0, or `symmetric` meets a queue.

    Source:
        van den Oord, Li and Vinyals 2018, Representation Learning with Contrastive Predictive
        Coding, arXiv:1807.03748; with a queue: He et al. 2020, Momentum Contrast, arXiv:1911.05722.
    """
    require_pairs(queries, keys)
    require_positive("temperature", temperature)
    if negatives is not None:
        if symmetric:
            raise SettingError(
                "symmetric has no meaning with negatives of a queue:"
                " call info_nce once for each direction"
            )
        return _against_queue(queries, keys, negatives, temperature)
    require_several(queries, "info_nce without a queue")
    with without_autocast(queries):
        queries, keys = unit_rows(queries), unit_rows(keys)
        if symmetric:
            return in_both_directions(queries, keys, scale=1 / temperature)
        negatives_of = logsumexp(
            queries, keys, scale=1 / temperature, pairs=Pairs.all_but_own(keys)
        )
        positives = (queries * keys).sum(dim=1) / temperature
        return minus_log_share(positives, negatives_of).mean()


def in_both_directions(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    scale: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Mean of InfoNCE from the first among the second and back, from one pass over the pairs.

    Args:
        first: Unit rows in full precision.
        second: Likewise; row i is the positive of row i of `first`.
        scale: 1 / temperature.
    """
    by_first, by_second = row_and_column_logsumexp(
        first, second, scale=scale, pairs=Pairs.all_but_own(first)
    )
    positives = (first * second).sum(dim=1) * scale
    losses = minus_log_share(positives, by_first) + minus_log_share(positives, by_second)
    return losses.mean() / 2


@rows_on_one_core
def among_keys_and_queue(
    queries: Float[Tensor, "batch dim"],
    keys: Float[Tensor, "batch dim"],
    queued: Float[Tensor, "queue dim"],
    *,
    scale: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Mean of InfoNCE of queries among the keys of their batch and those of earlier ones.

    `−log( e^{s_ii} / (Σ_j e^{s_ij} + Σ_q e^{s_iq}) )` with `s = scale · cosine`. Neither the keys
    nor the queue are copied.

    Args:
        queries: Normalised here.
        keys: Unit rows in full precision; row i is the positive of row i of `queries`.
        queued: Likewise; negatives of every query, none or more.
        scale: 1 / temperature; a tensor gets its gradient.
    """
    require_pairs(queries, keys)
    if not len(queued):
        require_several(queries, "an empty queue")
    with without_autocast(queries):
        queries, scale = unit_rows(queries), scalar_in_full_precision(scale)
        negatives = logsumexp(queries, keys, scale=scale, pairs=Pairs.all_but_own(keys))
        if len(queued):
            negatives = torch.logaddexp(negatives, logsumexp(queries, queued, scale=scale))
        positives = (queries * keys).sum(dim=1) * scale
        return minus_log_share(positives, negatives).mean()


def _against_queue(
    queries: Tensor, keys: Tensor, negatives: Tensor, temperature: float
) -> Float[Tensor, ""]:
    """The loss with the same negatives for all queries."""
    require_a_row(queries, "info_nce")
    dim = queries.shape[1]
    if negatives.ndim != 2 or negatives.shape[1] != dim:
        raise NearfarError(f"negatives must be (queue, {dim}), and are {tuple(negatives.shape)}")
    if not len(negatives):
        raise NearfarError(
            "negatives hold no row: fill the queue before the loss, or leave negatives out to"
            " compare with the batch's own keys"
        )
    with without_autocast(queries):
        queries, keys = unit_rows(queries), unit_rows(keys)
        positives = (queries * keys).sum(dim=1) / temperature
        found = logsumexp(queries, unit_rows(negatives), scale=1 / temperature)
        return minus_log_share(positives, found).mean()


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
        anchors, positives = nan_if_infinite(anchors), nan_if_infinite(positives)
        others = logsumexp(anchors, positives, pairs=Pairs.all_but_own(anchors))
        return minus_log_share((anchors * positives).sum(dim=1), others).mean()


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
