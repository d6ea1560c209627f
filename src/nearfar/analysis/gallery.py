"""Which queries a gallery of nearest neighbours shows."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def gallery_queries(
    right: Bool[Tensor, " n"] | None, count: int, *, total: int, seed: int = 0
) -> Int64[Tensor, " g"]:
    """A mixture of queries answered right and wrong: half of each as far as there are.

    What is shown is drawn, not picked: with the wrong ones over-represented, and so no measure of
    how often the encoder errs.

    Args:
        right: Whether each query's class was predicted; None without labels, then any are drawn.
        count: Queries wanted; fewer where there are fewer.
        total: Number of queries.
        seed: Seeds the draw.

    Returns:
        Row numbers, the wrong ones first.
    """
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    if right is None:
        return order[:count]
    wrong_ones, right_ones = order[~right[order]], order[right[order]]
    wrong_count = max(count // 2, count - len(right_ones))
    wrong_ones = wrong_ones[:wrong_count]
    return torch.cat([wrong_ones, right_ones[: count - len(wrong_ones)]])
