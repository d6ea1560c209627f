"""Discrete variables: entropy, divergence and mutual information of tables of probabilities."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_a_row
from nearfar.objectives.precision import in_full_precision


def discrete_entropy(probabilities: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Entropy `−Σ p log p`, in nats; 0 log 0 is 0.

    Args:
        probabilities: Of any shape, each 0 or above, 1 in all.

    Raises:
        NearfarError: They are not.
    """
    return torch.special.entr(_table(probabilities)).sum()


def discrete_kl(
    probabilities: Float[Tensor, "*shape"], others: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence `Σ p log(p / q)`, in nats.

    Args:
        probabilities: p, of any shape, each 0 or above, 1 in all.
        others: q of the same outcomes, likewise.

    Returns:
        0 or above; infinity where an outcome has p > 0 and q = 0.

    Raises:
        NearfarError: One of them is no table of probabilities.
    """
    p, q = _table(probabilities), _table(others)
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def discrete_information(joint: Float[Tensor, "x y"]) -> Float[Tensor, ""]:
    """Mutual information `Σ p(x,y) log( p(x,y) / (p(x) p(y)) )` of a joint table, in nats.

    Args:
        joint: Probabilities of each x with each y, each 0 or above, 1 in all.

    Raises:
        NearfarError: They are not.
    """
    table = _table(joint)
    apart = torch.special.entr(table.sum(dim=1)).sum() + torch.special.entr(table.sum(dim=0)).sum()
    return apart - torch.special.entr(table).sum()


def label_entropy(labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Plug-in entropy of labels: that of the shares in which they occur, in nats.

    Of K classes it is on average about (K − 1) / 2n too small (Miller 1955).

    Args:
        labels: One or more; any whole numbers.

    Returns:
        In float64.

    Raises:
        NearfarError: There is none.
    """
    require_a_row(labels, "label_entropy")
    counts = labels.unique(return_counts=True)[1]
    return torch.special.entr(counts.double() / len(labels)).sum()


def _table(probabilities: Tensor) -> Tensor:
    """The probabilities in full precision, refused where they are none."""
    table = in_full_precision(probabilities)
    total = table.sum().item()
    tolerance = torch.finfo(probabilities.dtype).eps ** 0.5
    if not (table >= 0).all() or not abs(total - 1) <= tolerance:
        raise NearfarError(
            f"probabilities must be 0 or above and sum to 1: the least is {table.min():.3g}"
            f" and the sum {total:.6g}"
        )
    return table
