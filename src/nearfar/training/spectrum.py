"""How far rows are spread over the sphere, and how many directions they take."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.precision import unit_rows


@torch.no_grad()
def effective_rank(rows: Float[Tensor, "n dim"], *, centred: bool = False) -> float:
    """Exponential of the entropy of the singular values, as shares of their sum.

    `exp(−Σ p_k log p_k)` with `p_k = σ_k / Σ σ` (Roy & Vetterli 2007): 1 where all rows lie on one
    line through 0, r where they take r directions equally. Of an encoder's features it is RankMe
    (Garrido et al. 2023), which takes off no mean.

    Args:
        rows: Finite, of any scale.
        centred: Take off the mean of the rows first.

    Returns:
        1 to the smaller number of rows and columns; 0 where every row is 0.
    """
    held = rows.detach().double()
    if centred:
        held = held - held.mean(dim=0)
    largest = held.abs().max() if held.numel() else held.new_zeros(())
    if float(largest) == 0:
        return 0.0
    held = held / largest
    products = held @ held.T if held.shape[0] < held.shape[1] else held.T @ held
    values = torch.linalg.eigvalsh(products).clamp(min=0).sqrt()
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


@torch.no_grad()
def spread(rows: Float[Tensor, "n dim"]) -> float:
    """How far rows point apart: half the mean squared distance of two rows of length 1.

    `1 − ‖mean of x/‖x‖‖²`: 0 where all point the same way, about 1 where they are spread evenly.
    It is the sum over columns of the variance that SimSiam watches (Chen & He 2021).

    Args:
        rows: Finite, of any scale; rows of zeros count as pointing one and the same way.

    Returns:
        0 to 1.
    """
    unit = unit_rows(rows.detach().double())
    unit = unit[unit.square().sum(dim=1) > 0]
    if not len(unit):
        return 0.0
    # By the differences: 1 less a square near 1 would have no digits left.
    return float((unit - unit.mean(dim=0)).square().sum(dim=1).mean())
