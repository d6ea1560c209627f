"""Supervised contrastive learning: every row of an anchor's class is its positive."""

from typing import Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.checks import (
    require_labels,
    require_one_of,
    require_positive,
    require_rows,
)
from nearfar.objectives.precision import minus_log_share, unit_rows, without_autocast
from nearfar.similarity.logsumexp import split_logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


@rows_on_one_core
def supcon(
    embeddings: Float[Tensor, "batch dim"],
    labels: Integer[Tensor, " batch"],
    *,
    keys: Float[Tensor, "keys dim"] | None = None,
    key_labels: Integer[Tensor, " keys"] | None = None,
    temperature: float = 0.1,
    kind: Literal["out", "in"] = "out",
) -> Float[Tensor, ""]:
    """Supervised contrastive loss (Khosla et al. 2020, equations 2 and 3).

    With `s_ij = cosine / T`, candidates `A(i)` all rows but i and all keys, and positives `P(i)`
    those of them with the label of i, an anchor's loss is

        out:  −(1/|P(i)|) Σ_{p∈P(i)} log softmax_{A(i)}(s_ip)
        in:   −log( (1/|P(i)|) Σ_{p∈P(i)} softmax_{A(i)}(s_ip) )

    Both are computed from two sums a row, `lse⁺` over its positives and `lse⁻` over its negatives:
    `softplus(lse⁻ − lse⁺)`, plus `lse⁺ − (1/|P(i)|) Σ_p s_ip` (out) or `log|P(i)|` (in), which
    keeps its precision where classes are far apart. The mean over positives comes from sums of
    classes. Memory grows with the batch, not with its square.

    Keys are candidates and no anchors: those of a momentum encoder and of a queue (Cui et al. 2021,
    equation 2). Rows without a positive count only as negatives of others. With several views,
    concatenate them and repeat the labels; with one positive each, either kind is `nt_xent`. The
    temperature that some programs multiply the loss by (T / 0.07) is not applied.

    Args:
        embeddings: One row each, of all views; normalised here.
        labels: A class number for each row, 0 or above.
        keys: Further candidates; normalised here. Of a queue, pass filled slots only.
        key_labels: Their class numbers.
        temperature: Above 0.
        kind: Mean over positives outside (`out`, which the authors recommend) or inside (`in`) of
            the logarithm.

    Returns:
        Mean over the rows that have a positive, in nats: float64 for float64, else float32. At
        least the mean of `log|P(i)|`; `log(batch − 1)` where all rows are equal (`out`). NaN or
        infinity in embeddings or keys gives NaN.

    Raises:
        NearfarError: No row shares its label with another or a key, the keys come without their
            labels, or labels do not fit.
        SettingError: The temperature is not above 0, or the kind is another word.

    Source:
        Khosla et al. 2020, Supervised Contrastive Learning, arXiv:2004.11362; with keys: Cui et al.
        2021, Parametric Contrastive Learning, arXiv:2107.12028.
    """
    require_rows("embeddings", embeddings)
    require_labels(labels, len(embeddings))
    require_positive("temperature", temperature)
    require_one_of("kind", kind, ("out", "in"))
    if (keys is None) != (key_labels is None):
        raise NearfarError("supcon needs keys and key_labels together: one of them is missing")
    with without_autocast(embeddings):
        labels = labels.long()
        of_all = labels
        if keys is not None and key_labels is not None:
            require_rows("keys", keys, embeddings.shape[1])
            require_labels(key_labels, len(keys), name="key_labels")
            of_all = torch.cat((labels, key_labels.long()))
        _, of_all, sizes = of_all.unique(return_inverse=True, return_counts=True)
        # Tiles of rows in the order of their classes hold few pairs that need telling apart.
        order = labels.argsort(stable=True)
        classes = candidate_classes = of_all[: len(labels)][order]
        anchors = (sizes[classes] > 1).nonzero().squeeze(1)
        if not len(anchors):
            raise NearfarError(
                f"supcon needs two rows of one label, and all {len(labels)} labels of this batch"
                " differ: use larger batches, or several views of each example"
            )
        rows = candidates = unit_rows(embeddings).index_select(0, order)
        pairs = Pairs.all_but_own(rows)
        if keys is not None:
            key_classes = of_all[len(labels) :]
            key_order = key_classes.argsort(stable=True)
            candidates = torch.cat((rows, unit_rows(keys).index_select(0, key_order)))
            candidate_classes = torch.cat((classes, key_classes[key_order]))
            itself = torch.arange(len(candidates), device=rows.device)
            pairs = Pairs(apart=(itself[: len(rows)], itself))
        positives, negatives = split_logsumexp(
            rows,
            candidates,
            scale=1 / temperature,
            groups=(classes, candidate_classes),
            pairs=pairs,
        )
        positives = positives.index_select(0, anchors)
        negatives = negatives.index_select(0, anchors)
        counts = (sizes[classes[anchors]] - 1).to(rows.dtype)
        separation = minus_log_share(positives, negatives)
        if kind == "in":
            return (separation + counts.log()).mean()
        class_sums = candidates.new_zeros(len(sizes), rows.shape[1])
        class_sums = class_sums.index_add(0, candidate_classes, candidates)
        others = (rows * (class_sums.index_select(0, classes) - rows)).sum(dim=1)
        others = others.index_select(0, anchors)
        spread = positives - others / (temperature * counts)
        # One positive has no spread: what rounding leaves of it would be all of a small loss.
        return (separation + spread.where(counts > 1, 0)).mean()
