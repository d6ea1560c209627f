"""How often the nearest row of a batch is one that the method wants near."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.objectives.precision import unit_rows
from nearfar.similarity.extremes import hardest
from nearfar.similarity.pairs import Pairs


def nearest_is_of_own_group(
    rows: Float[Tensor, "n dim"], groups: Integer[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Share of rows whose most similar other row, by cosine, is of their group.

    Args:
        rows: Two or more, of any norm.
        groups: A number for each row; rows of equal numbers are one group.

    Returns:
        0 to 1, without gradient.
    """
    rows = unit_rows(rows)
    itself = torch.arange(len(rows), device=rows.device)
    _, nearest = hardest(rows, rows, pairs=Pairs(apart=(itself, itself)), largest=True)
    return (groups[nearest] == groups).float().mean()
