"""The log-sum-exp with all similarities held at once: the reference that others must equal."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.similarity.pairs import Pairs


def dense_logsumexps(
    queries: Float[Tensor, "n dim"],
    keys: Float[Tensor, "m dim"],
    bias: Float[Tensor, " m"] | None,
    pairs: Pairs,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"]]:
    """For every row and for every column of `queries @ keys.T + bias`: log of the sum of exp.

    Args:
        queries: One row each; any float type, computed as it is.
        keys: One column each.
        bias: Added to every similarity of a key.
        pairs: Which pairs take part.

    Returns:
        Rows' and columns' log-sum-exp, with gradients; minus infinity, with gradient 0, where
        nothing takes part.
    """
    similarities = queries @ keys.T
    if bias is not None:
        similarities = similarities + bias
    everything = slice(None)
    out = pairs.left_out(everything, everything, queries.device)
    if out is None:
        return similarities.logsumexp(dim=1), similarities.logsumexp(dim=0)
    # A finite stand-in: exp makes it 0 beside any real similarity, and no gradient turns to NaN.
    lowest = torch.finfo(similarities.dtype).min
    held = similarities.masked_fill(out, lowest)
    return (
        held.logsumexp(dim=1).masked_fill(out.all(dim=1), -torch.inf),
        held.logsumexp(dim=0).masked_fill(out.all(dim=0), -torch.inf),
    )
