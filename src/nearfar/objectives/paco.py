"""Parametric contrastive learning: supervised contrast in which a class has a centre too."""

from typing import Literal

import torch
from jaxtyping import Float, Integer, Real
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.balanced_softmax import require_class_counts, with_log_prior
from nearfar.objectives.checks import (
    require_a_row,
    require_labels,
    require_one_of,
    require_pairs,
    require_positive,
    require_rows,
)
from nearfar.objectives.precision import in_full_precision, log_add, unit_rows, without_autocast
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


@rows_on_one_core
def paco(
    queries: Float[Tensor, "batch dim"],
    keys: Float[Tensor, "batch dim"],
    labels: Integer[Tensor, " batch"],
    centre_logits: Float[Tensor, "batch classes"],
    *,
    queue: Float[Tensor, "queued dim"] | None = None,
    queue_labels: Integer[Tensor, " queued"] | None = None,
    class_counts: Real[Tensor, " classes"] | None = None,
    alpha: float = 0.05,
    temperature: float = 0.2,
    normalisation: Literal["sum", "mean"] = "mean",
) -> Float[Tensor, ""]:
    """Parametric contrastive loss (Cui et al. 2021, equations 3 and 4).

    The candidates of query i are all other queries, all keys, the queue, and the classes' centres.
    Its positives are the P(i) samples of its label, of weight α, and its class's centre, of weight
    1. With sample logits `s_ij = cosine / T`, centre logits `c_i` and `Z_i = Σ_j e^{s_ij} +
    Σ_c q(c) e^{c_ic}`,

        −α Σ_{p∈P(i)} log( e^{s_ip} / Z_i ) − log( q(y) e^{c_iy} / Z_i )

    At its optimum each of K positives has probability `α / (1 + αK)` and the centre `1 / (1 + αK)`.
    No matrix of similarities is held.

    Args:
        queries: Embeddings of the first view; normalised here, as are keys and queue.
        keys: Embeddings of the second, from the momentum encoder in the paper: detach them there.
        labels: The class of each example, the same for both views.
        centre_logits: What a linear layer with bias makes of the query's features: neither
            normalised nor divided by the temperature.
        queue: Earlier keys; pass filled slots only.
        queue_labels: The classes of the queue's rows.
        class_counts: Training examples of each class: adds `log q(c)`, the logarithm of the class's
            share, to the centre logits. A class with count 0 has no centre. None adds nothing.
        alpha: Weight of a sample beside its class's centre, above 0.
        temperature: Above 0.
        normalisation: `sum` as above, as the paper writes it; `mean` divides each query's loss by
            its weights' sum `1 + α|P(i)|`, as its published program does.

    Returns:
        Mean over queries, in nats, 0 or above: float64 for float64, else float32. NaN or infinity
        in embeddings or centre logits gives NaN.

    Raises:
        NearfarError: Shapes or labels do not fit, there is no row, the queue comes without its
            labels, a count is negative, or an example's class has count 0.
        SettingError: Alpha or temperature is not above 0, or the normalisation is another word.

    Source:
        Cui et al. 2021, Parametric Contrastive Learning, arXiv:2107.12028.
    """
    require_pairs(queries, keys)
    require_a_row(queries, "paco")
    require_rows("centre_logits", centre_logits)
    classes = centre_logits.shape[1]
    require_labels(labels, len(queries), classes=classes)
    if len(centre_logits) != len(queries):
        raise NearfarError(
            f"centre_logits have {len(centre_logits)} rows, and must have one for each of"
            f" {len(queries)} queries"
        )
    if (queue is None) != (queue_labels is None):
        raise NearfarError("paco needs the queue and its labels together: one of them is missing")
    if class_counts is not None:
        require_class_counts(class_counts, labels, classes)
    require_positive("alpha", alpha)
    require_positive("temperature", temperature)
    require_one_of("normalisation", normalisation, ("sum", "mean"))
    with without_autocast(queries):
        rows, labels = unit_rows(queries), labels.long()
        candidates, candidate_labels = [rows, unit_rows(keys)], [labels, labels]
        if queue is not None and queue_labels is not None:
            require_rows("queue", queue, queries.shape[1])
            require_labels(queue_labels, len(queue), name="queue_labels", classes=classes)
            candidates.append(unit_rows(queue))
            candidate_labels.append(queue_labels.long())
        samples, sample_labels = torch.cat(candidates), torch.cat(candidate_labels)
        itself = torch.arange(len(samples), device=rows.device)
        sample_part = logsumexp(
            rows, samples, scale=1 / temperature, pairs=Pairs(apart=(itself[: len(rows)], itself))
        )
        if class_counts is None:
            centres = in_full_precision(centre_logits)
        else:
            centres = with_log_prior(centre_logits, class_counts)
        own_centre = centres.gather(1, labels.unsqueeze(1)).squeeze(1)
        normaliser = log_add(sample_part, centres.logsumexp(dim=1))

        # Σ_p s_ip is the query times the sum of its class's rows, less the query itself.
        class_sums = samples.new_zeros(classes, samples.shape[1])
        class_sums = class_sums.index_add(0, sample_labels, samples)
        positives = (rows * (class_sums[labels] - rows)).sum(dim=1) / temperature
        counts = (sample_labels.bincount(minlength=classes)[labels] - 1).to(rows.dtype)
        weights = 1 + alpha * counts
        losses = weights * normaliser - alpha * positives - own_centre
        return (losses / weights if normalisation == "mean" else losses).mean()
