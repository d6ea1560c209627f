"""A positive's share of the sum over all candidates, from logarithms."""

import torch
from jaxtyping import Float
from torch import Tensor


def minus_log_share(
    positive: Float[Tensor, "*rows"], negatives: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """`−log( e^p / (e^p + e^n) )` as `log(1 + e^{n − p})`, precise where it is nearly 0.

    Args:
        positive: Logarithm of the positive's term.
        negatives: Logarithm of the sum of the negatives' terms.
    """
    return torch.logaddexp(negatives - positive, positive.new_zeros(()))
