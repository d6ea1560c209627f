"""Alignment and uniformity: what a contrastive objective asks for, one term each, and weighted."""

import functools
import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.objectives.checks import (
    require_a_row,
    require_not_negative,
    require_pairs,
    require_positive,
    require_rows,
    require_several,
)
from nearfar.objectives.nt_xent import nt_xent
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs


@rows_on_one_core
def alignment(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    alpha: float = 2.0,
) -> Float[Tensor, ""]:
    """Mean distance between the two views of an example (Wang & Isola 2020, section 4.1).

    `E ‖f(x) − f(y)‖₂^α` over normalised rows: 0 where views coincide, `2^α` where opposite.

    Args:
        first: Embeddings of one view; normalised here.
        second: Embeddings of the other; row i belongs to row i of `first`.
        alpha: Power of the distance, above 0. Below 1 the gradient is infinite where views
            coincide.

    Raises:
        NearfarError: The shapes differ, or there is no row.
        SettingError: Alpha is not above 0.

    Source:
        Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, arXiv:2005.10242.
    """
    require_pairs(first, second)
    require_a_row(first, "alignment")
    require_positive("alpha", alpha)
    with without_autocast(first):
        differences = unit_rows(first) - unit_rows(second)
        return torch.linalg.vector_norm(differences, dim=1).pow(alpha).mean()


@rows_on_one_core
def uniformity(embeddings: Float[Tensor, "batch dim"], *, t: float = 2.0) -> Float[Tensor, ""]:
    """Logarithm of the mean Gaussian potential of all pairs (Wang & Isola 2020, section 4.1).

    `log E e^{−t‖x − y‖²}` over pairs of distinct rows, normalised: 0 where all coincide, lower
    where they spread, `log ₀F₁(;d/2;t²) − 2t` for many rows spread evenly over the sphere in d
    dimensions.
    Memory grows with the batch and not with its square.

    Args:
        embeddings: One view of each example; normalised here.
        t: Sharpness of the potential, above 0.

    Raises:
        NearfarError: The embeddings are no matrix, or the batch is below 2.
        SettingError: `t` is not above 0.

    Source:
        Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, arXiv:2005.10242.
    """
    require_rows("embeddings", embeddings)
    require_several(embeddings, "uniformity")
    require_positive("t", t)
    with without_autocast(embeddings):
        rows = unit_rows(embeddings)
        # On the sphere ‖x − y‖² = 2 − 2 x·y.
        potentials = logsumexp(rows, rows, scale=2 * t, pairs=Pairs.all_but_own(rows))
        pairs = len(rows) * (len(rows) - 1)
        return potentials.logsumexp(dim=0) - 2 * t - math.log(pairs)


@rows_on_one_core
def align_uniform(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    align_weight: float = 1.0,
    uniform_weight: float = 1.0,
    alpha: float = 2.0,
    t: float = 2.0,
) -> Float[Tensor, ""]:
    """Weighted sum of alignment and mean uniformity (Wang & Isola 2020, section 5).

    `w_a · alignment(x, y) + w_u · ½ (uniformity(x) + uniformity(y))`. A term of weight 0 is not
    computed.

    Args:
        first: Embeddings of one view; normalised here.
        second: Embeddings of the other; row i belongs to row i of `first`.
        align_weight: `w_a`, 0 or above.
        uniform_weight: `w_u`, 0 or above.
        alpha: Power of the distance in alignment, above 0.
        t: Sharpness of the potential in uniformity, above 0.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: A weight is below 0, both are 0, or `alpha` or `t` is not above 0.

    Source:
        Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, arXiv:2005.10242.
    """
    require_pairs(first, second)
    require_several(first, "align_uniform")
    require_positive("alpha", alpha)
    require_positive("t", t)
    return _weighted(
        {
            "align_weight": (align_weight, lambda: alignment(first, second, alpha=alpha)),
            "uniform_weight": (uniform_weight, lambda: _spread(first, second, t)),
        }
    )


@rows_on_one_core
def contrast_align_uniform(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    contrast_weight: float = 1.0,
    align_weight: float = 1.0,
    uniform_weight: float = 1.0,
    temperature: float = 0.5,
    alpha: float = 2.0,
    t: float = 2.0,
) -> Float[Tensor, ""]:
    """Weighted sum of contrast, alignment and uniformity (Wang & Isola 2020, section 5).

    `w_c · NT-Xent(x, y) + w_a · alignment(x, y) + w_u · ½ (uniformity(x) + uniformity(y))`. A term
    of weight 0 is not computed, so that alignment alone, uniformity alone and `nt_xent` are what is
    left where the other two weights are 0.

    Args:
        first: Embeddings of one view; normalised here.
        second: Embeddings of the other; row i belongs to row i of `first`.
        contrast_weight: `w_c`, 0 or above.
        align_weight: `w_a`, 0 or above.
        uniform_weight: `w_u`, 0 or above.
        temperature: Divides cosine similarities in NT-Xent, above 0.
        alpha: Power of the distance in alignment, above 0.
        t: Sharpness of the potential in uniformity, above 0.

    Raises:
        NearfarError: The shapes differ, or the batch is below 2.
        SettingError: A weight is below 0, all are 0, or another setting is not above 0.

    Source:
        Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere, arXiv:2005.10242. Their contrastive loss draws its negatives
        from one view; NT-Xent, from both.
    """
    require_pairs(first, second)
    require_several(first, "contrast_align_uniform")
    require_positive("temperature", temperature)
    require_positive("alpha", alpha)
    require_positive("t", t)
    return _weighted(
        {
            "contrast_weight": (
                contrast_weight,
                lambda: nt_xent(first, second, temperature=temperature),
            ),
            "align_weight": (align_weight, lambda: alignment(first, second, alpha=alpha)),
            "uniform_weight": (uniform_weight, lambda: _spread(first, second, t)),
        }
    )


def _spread(first: Tensor, second: Tensor, t: float) -> Tensor:
    """Uniformity, the mean over both views."""
    return (uniformity(first, t=t) + uniformity(second, t=t)) / 2


def _weighted(terms: Mapping[str, tuple[float, Callable[[], Tensor]]]) -> Tensor:
    """The sum of the terms that weigh something, in their order.

    Args:
        terms: Weight and value of each, by the name of the weight.
    """
    for name, (weight, _) in terms.items():
        require_not_negative(name, weight)
    weighed = [weight * term() for weight, term in terms.values() if weight]
    if not weighed:
        raise SettingError(f"{', '.join(terms)} are all 0: nothing is left to learn from")
    return functools.reduce(torch.add, weighed)
