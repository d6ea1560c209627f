"""Sums of exponentials as logarithms, whose derivatives exist however far the terms are apart.

The second derivative of `torch.logaddexp` is NaN where one term outweighs the other by more than
the range of exp, and where one is 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Above it log(1 + e^x) is x to the last bit of float64, and e^x is still finite in float32.
_LINEAR_ABOVE = 40.0


def minus_log_share(
    positive: Float[Tensor, "*rows"], negatives: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """`−log( e^p / (e^p + e^n) )` as `log(1 + e^{n − p})`, precise where it is nearly 0.

    Args:
        positive: Logarithm of the positive's term.
        negatives: Logarithm of the sum of the negatives' terms.
    """
    return F.softplus(negatives - positive, threshold=_LINEAR_ABOVE)


def log_add(
    first: Float[Tensor, "*#shape"], second: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*shape"]:
    """`log( e^a + e^b )`; at most one of the two may be minus infinity."""
    return torch.stack(torch.broadcast_tensors(first, second)).logsumexp(dim=0)
