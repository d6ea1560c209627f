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
    temperature: float = 0.1,
    kind: Literal["out", "in"] = "out",
) -> Float[Tensor, ""]:
    """Supervised contrastive loss (Khosla et al. 2020, equations 2 and 3).

    With `s_ij = cosine / T`, candidates `A(i)` all rows but i, and positives `P(i)` those of them
    with the label of i, an anchor's loss is

        out:  −(1/|P(i)|) Σ_{p∈P(i)} log softmax_{A(i)}(s_ip)
        in:   −log( (1/|P(i)|) Σ_{p∈P(i)} softmax_{A(i)}(s_ip) )

    Both are computed from two sums a row, `lse⁺` over its positives and `lse⁻` over its negatives:
    `softplus(lse⁻ − lse⁺)`, plus `lse⁺ − (1/|P(i)|) Σ_p s_ip` (out) or `log|P(i)|` (in), which
    keeps its precision where classes are far apart. The mean over positives comes from sums of
    classes. Memory grows with the batch, not with its square.

    Rows without a positive count only as negatives of others. With several views, concatenate them
    and repeat the labels; with one positive each, either kind is `nt_xent`. The temperature that
    some programs multiply the loss by (T / 0.07) is not applied.

    Args:
        embeddings: One row each, of all views; normalised here.
        labels: A class number for each row, 0 or above.
        temperature: Above 0.
        kind: Mean over positives outside (`out`, which the authors recommend) or inside (`in`) of
            the logarithm.

    Returns:
        Mean over the rows that have a positive, in nats: float64 for float64, else float32. At
        least the mean of `log|P(i)|`; `log(batch − 1)` where all rows are equal (`out`). NaN or
        infinity in the embeddings gives NaN.

    Raises:
        NearfarError: No two rows share a label, or the labels do not fit.
        SettingError: The temperature is not above 0, or the kind is another word.

    Source:
        Khosla et al. 2020, Supervised Contrastive Learning, arXiv:2004.11362.
    """
    require_rows("embeddings", embeddings)
    require_labels(labels, len(embeddings))
    require_positive("temperature", temperature)
    require_one_of("kind", kind, ("out", "in"))
    with without_autocast(embeddings):
        # Tiles of rows in the order of their classes hold few pairs that need telling apart.
        labels = labels.long()
        order = labels.argsort(stable=True)
        _, classes, sizes = labels[order].unique_consecutive(
            return_inverse=True, return_counts=True
        )
        anchors = (sizes[classes] > 1).nonzero().squeeze(1)
        if not len(anchors):
            raise NearfarError(
                f"supcon needs two rows of one label, and all {len(labels)} labels of this batch"
                " differ: use larger batches, or several views of each example"
            )
        rows = unit_rows(embeddings).index_select(0, order)
        positives, negatives = split_logsumexp(
            rows,
            rows,
            scale=1 / temperature,
            groups=(classes, classes),
            pairs=Pairs.all_but_own(rows),
        )
        positives = positives.index_select(0, anchors)
        negatives = negatives.index_select(0, anchors)
        counts = (sizes[classes[anchors]] - 1).to(rows.dtype)
        separation = minus_log_share(positives, negatives)
        if kind == "in":
            return (separation + counts.log()).mean()
        class_sums = torch.zeros_like(rows[: len(sizes)]).index_add(0, classes, rows)
        others = (rows * (class_sums.index_select(0, classes) - rows)).sum(dim=1)
        others = others.index_select(0, anchors)
        spread = positives - others / (temperature * counts)
        # One positive has no spread: what rounding leaves of it would be all of a small loss.
        return (separation + spread.where(counts > 1, 0)).mean()
