"""What methods log of their embeddings: nats that views share, and whether the nearest is right."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.estimators.info_nce import info_nce_bound
from nearfar.estimators.scores import SeparableScores
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.extremes import hardest
from nearfar.similarity.pairs import Pairs


@torch.no_grad()
def shared_information(
    pairs: Sequence[tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]],
    *,
    temperature: float | None,
) -> dict[str, float]:
    """InfoNCE's bound on I(view₁; view₂), and log N, which it cannot exceed (van den Oord 2018).

    `log N − mean_i( log Σ_j e^{s_ij} − s_ii )` with `s = cosine / T` among the N rows of a batch,
    whatever else the method's loss compares with.

    Args:
        pairs: Two views of the same examples, or several such pairs, over which the mean is taken;
            of any norm.
        temperature: T, above 0; None for raw dot products in place of `cosine / T`.

    Returns:
        `mutual_information_bound` and `mutual_information_ceiling`, in nats; empty where the batch
        has a single example.
    """
    number = len(pairs[0][0])
    if number < 2:
        return {}
    bounds = [info_nce_bound(_scores(*pair, temperature)) for pair in pairs]
    return {
        "mutual_information_bound": float(torch.stack(bounds).mean()),
        "mutual_information_ceiling": float(torch.tensor(number, dtype=torch.float32).log()),
    }


def _scores(first: Tensor, second: Tensor, temperature: float | None) -> SeparableScores:
    """The critic's scores of every first view with every second."""
    if temperature is None:
        return SeparableScores(first, second)
    return SeparableScores(unit_rows(first) / temperature, unit_rows(second))


def nearest_is_of_own_group(
    rows: Float[Tensor, "n dim"], groups: Integer[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Share of rows whose most similar other row, by cosine, is of their group.

    Returns:
        0 to 1, without gradient.
    """
    rows = unit_rows(rows)
    _, nearest = hardest(rows, rows, pairs=Pairs.all_but_own(rows), largest=True)
    return (groups[nearest] == groups).float().mean()
