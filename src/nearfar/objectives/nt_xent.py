"""NT-Xent, the objective of SimCLR, and the same without the positive in the denominator."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.objectives.checks import require_pairs, require_positive, require_several
from nearfar.objectives.negatives import negatives_of
from nearfar.objectives.precision import minus_log_share, unit_rows, without_autocast
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


@rows_on_one_core
def nt_xent(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    temperature: float = 0.5,
    labels: Integer[Tensor, " batch"] | None = None,
    rescale: bool = False,
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross-entropy (Chen et al. 2020, equation 1).

    The 2·batch rows of both views are anchors. A row's positive is the other view of its example,
    its candidates are all other rows, and its loss is `lse_j s_ij − s_i⁺` with `s = cosine / T`.
    It is computed as `log(1 + e^{lse of the negatives − s_i⁺})`, which is the same and keeps its
    precision where the loss is nearly 0. No matrix of similarities is held: memory grows with the
    batch, not with its square.

    With `labels`, no other example of an anchor's class is its negative ("false negatives dropped",
    Troshestova & Isachenko 2023), which tells what false negatives cost. This is not `supcon`: the
    other view stays the only positive.

    Args:
        first: Embeddings of one view; normalised here.
        second: Embeddings of the other; row i belongs to row i of `first`.
        temperature: Above 0.
        labels: A class number for each example, 0 or above, to drop false negatives by.
        rescale: Multiply the sum over the negatives that labels leave by N over their number, as
            if there were still N = 2·batch − 2.

    Returns:
        Mean over the 2·batch rows, in nats: float64 for float64, else float32. `log(2·batch − 1)`
        where all rows are equal (with labels, if rescaled). NaN or infinity in the embeddings gives
        NaN.

    Raises:
        NearfarError: The shapes differ, the batch is below 2, or the labels do not fit or are all
            equal.
        SettingError: The temperature is not above 0, or `rescale` comes without labels.

    Source:
        Chen, Kornblith, Norouzi and Hinton 2020, A Simple Framework for Contrastive Learning of
        Visual Representations, arXiv:2002.05709.
    """
    require_pairs(first, second)
    require_several(first, "nt_xent")
    require_positive("temperature", temperature)
    with without_autocast(first):
        rows = unit_rows(torch.cat((first, second)))
        negatives = negatives_of(rows, labels, rescale, "nt_xent").log_sum(rows, 1 / temperature)
        views = rows.chunk(2)
        positives = ((views[0] * views[1]).sum(dim=1) / temperature).repeat(2)
        return minus_log_share(positives, negatives).mean()


@rows_on_one_core
def decoupled(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Decoupled contrastive loss, DCL (Yeh et al. 2022).

    `−s_i⁺ + log Σ_j e^{s_ij}` with `s = cosine / T`, where j runs over the 2·batch − 2 rows of
    other examples in both views. The pull on a positive does not fade as it comes near: the
    gradient loses the factor that makes NT-Xent need large batches. Memory grows with the batch,
    not its square.

    Args:
        first: Embeddings of one view; normalised here.
        second: Embeddings of the other; row i belongs to row i of `first`.
        temperature: Above 0.

    Returns:
        Mean over the 2·batch rows, in nats, below 0 where views are told apart: float64 for
        float64, else float32. `log(2·batch − 2)` where all rows are equal. NaN or infinity in the
        embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: The temperature is not above 0.

    Source:
        Yeh et al. 2022, Decoupled Contrastive Learning, arXiv:2110.06848.
    """
    require_pairs(first, second)
    require_several(first, "decoupled")
    require_positive("temperature", temperature)
    with without_autocast(first):
        first, second = unit_rows(first), unit_rows(second)
        rows = torch.cat((first, second))
        examples = torch.arange(len(first), device=rows.device).repeat(2)
        negatives = logsumexp(
            rows, rows, scale=1 / temperature, pairs=Pairs(apart=(examples, examples))
        )
        # The mean over both views of a positive is the mean over examples: both share it.
        return negatives.mean() - (first * second).sum(dim=1).mean() / temperature
