"""The metrics that sets are published with: top-1, its mean over classes, VOC 2007's precision."""

import torch
from jaxtyping import Float, Float64, Int8, Int64
from torch import Tensor

_POINTS = 11


def mean_per_class(
    predictions: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], classes: int
) -> float:
    """The mean, over classes that have test examples, of the share of each that is right.

    Args:
        predictions: Class of each example; −1 for none.
        labels: The true classes, from 0.
        classes: How many there are.
    """
    right = torch.bincount(labels[predictions == labels], minlength=classes).double()
    count = torch.bincount(labels, minlength=classes).double()
    return float((right / count)[count > 0].mean())


def eleven_point_precision(scores: Float[Tensor, " n"], present: Int8[Tensor, " n"]) -> float:
    """Average precision of one class as Pascal VOC 2007 counts it.

    The mean, over recalls 0, 0.1, … 1, of the highest precision at that recall or a higher one.
    Examples of equal score are ranked in their order.

    Args:
        scores: Higher for what is more likely there.
        present: 1 where it is there, −1 where it is not; what is 0 is left out.

    Returns:
        0 to 1; NaN where nothing is there.

    Source:
        Everingham et al. 2010, The Pascal Visual Object Classes (VOC) Challenge, section 4.2.
    """
    judged = present != 0
    order = scores[judged].double().argsort(descending=True, stable=True)
    there = present[judged][order] == 1
    total = int(there.sum())
    if not total:
        return float("nan")
    found = there.cumsum(0)
    precision = found.double() / torch.arange(1, len(there) + 1)
    # The highest precision from each rank on; recall only grows along the ranks.
    best = precision.flip(0).cummax(0).values.flip(0)
    at = [int((found * (_POINTS - 1) >= point * total).nonzero()[0]) for point in range(_POINTS)]
    return float(best[at].mean())


def voc_precisions(
    scores: Float[Tensor, "n classes"], present: Int8[Tensor, "n classes"]
) -> Float64[Tensor, " classes"]:
    """`eleven_point_precision` of every class; the set's metric is the mean of what is no NaN."""
    columns = range(scores.shape[1])
    found = [eleven_point_precision(scores[:, each], present[:, each]) for each in columns]
    return torch.tensor(found, dtype=torch.float64)
