"""The k largest of every row, faster on a CPU than `torch.topk` over all columns."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

GROUP = 16


def largest(
    values: Float[Tensor, "m n"], k: int
) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
    """The k largest of every row and their columns, in falling order.

    The k largest values lie in the k groups whose maxima are largest (a value outside has k group
    maxima above it), so only those groups are searched. Columns j, j + n/16, j + 2n/16 … make a
    group: its maximum is then a maximum of whole vectors.

    Args:
        values: Any numbers without NaN.
        k: At most n.
    """
    count, columns = values.shape
    groups = columns // GROUP
    if values.device.type != "cpu" or groups < 2 * k:
        return values.topk(k, dim=1)
    body = values[:, : groups * GROUP].unflatten(1, (GROUP, groups))
    chosen = body.amax(dim=1).topk(k, dim=1, sorted=False).indices
    steps = torch.arange(0, groups * GROUP, groups)
    where = (chosen.unsqueeze(1) + steps.view(1, -1, 1)).flatten(1)
    rest = torch.arange(groups * GROUP, columns)
    where = torch.cat([where, rest.expand(count, -1)], dim=1)
    top, order = values.gather(1, where).topk(k, dim=1)
    return top, where.gather(1, order)
