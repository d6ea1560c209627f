"""The spectral contrastive loss."""

from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.checks import require_not_negative, require_pairs, require_several
from nearfar.objectives.precision import in_full_precision, without_autocast


def spectral(
    first: Float[Tensor, "batch dim"], second: Float[Tensor, "batch dim"], *, weight: float = 1.0
) -> Float[Tensor, ""]:
    """Dot products of two views large, those of different examples near 0.

        L = −(2/N) Σ_i a_i·b_i + w/(N(N−1)) Σ_{i≠j} (a_i·b_j)²

    of raw rows. The sum over all pairs is trace((AᵀA)(BᵀB)): no matrix of N × N is held.

    Args:
        first: Embeddings of one view; not normalised.
        second: Embeddings of the other; row i belongs to row i of `first`.
        weight: w, 0 or above.

    Returns:
        In the embeddings' units to the fourth power, not nats: float64 for float64, else float32.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: The weight is negative.

    Source:
        HaoChen, Wei, Gaidon and Ma 2021, Provable Guarantees for Self-Supervised Deep Learning
        with Spectral Contrastive Loss, arXiv:2106.04156.
    """
    require_pairs(first, second)
    require_several(first, "spectral")
    require_not_negative("weight", weight)
    with without_autocast(first):
        first, second = in_full_precision(first), in_full_precision(second)
        batch = len(first)
        paired = (first * second).sum(dim=1)
        all_pairs = ((first.T @ first) * (second.T @ second)).sum()
        apart = (all_pairs - paired.square().sum()) / (batch * (batch - 1))
        return weight * apart - 2 * paired.mean()
