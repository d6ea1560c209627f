"""InfoNCE: a query's own key against the other keys of the batch, or against a queue."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives.checks import (
    require_a_row,
    require_pairs,
    require_positive,
    require_several,
)
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.objectives.shares import minus_log_share
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
        negatives_of = logsumexp(queries, keys, scale=1 / temperature, pairs=_own_pair_apart(keys))
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
        first, second, scale=scale, pairs=_own_pair_apart(first)
    )
    positives = (first * second).sum(dim=1) * scale
    losses = minus_log_share(positives, by_first) + minus_log_share(positives, by_second)
    return losses.mean() / 2


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


def _own_pair_apart(rows: Tensor) -> Pairs:
    """All pairs but those of a row with the row of the same place."""
    places = torch.arange(len(rows), device=rows.device)
    return Pairs(apart=(places, places))
