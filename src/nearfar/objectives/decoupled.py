"""Decoupled contrastive learning: NT-Xent without the positive in the denominator."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.checks import require_pairs, require_positive, require_several
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


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
