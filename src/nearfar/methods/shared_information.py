"""How many nats two views of an example are seen to share, by the critic that a method learns."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.estimators.info_nce import info_nce_bound
from nearfar.estimators.scores import SeparableScores
from nearfar.objectives.precision import unit_rows


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
