"""Figures of depths and of masks over all judged pixels, from sums of each image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

WITHIN = (1.25, 1.25**2, 1.25**3)
"""Factors to which a depth is right, δ of Eigen et al. 2014."""


@dataclass(frozen=True)
class Figure:
    """A value, and its standard error over test images."""

    value: float
    standard_error: float | None


def depth_sums(
    answers: Float[Tensor, "n h w"], depths: Float[Tensor, "n h w"]
) -> Float[Tensor, "n 7"]:
    """Of each image: judged pixels; sums of squared, absolute and relative errors; pixels within.

    Args:
        answers: Above 0.
        depths: Above 0; NaN where nothing is judged.

    Returns:
        In float64, the last three the pixels with max(d̂/d, d/d̂) below 1.25, 1.25² and 1.25³.
    """
    judged = torch.isfinite(depths)
    truth = torch.where(judged, depths, 1.0).double()
    error = torch.where(judged, answers.double() - truth, 0.0)
    ratio = torch.maximum(answers.double() / truth, truth / answers.double())
    columns = [
        judged.double(),
        error**2,
        error.abs(),
        error.abs() / truth,
        *((judged & (ratio < factor)).double() for factor in WITHIN),
    ]
    return torch.stack([each.sum(dim=(1, 2)) for each in columns], dim=1)


def depth_figures(sums: Float[Tensor, "n 7"]) -> dict[str, Figure]:
    r"""Errors over all judged pixels P of all images (Eigen et al. 2014).

    .. math::
        \mathrm{RMSE} = \sqrt{\tfrac{1}{|P|} \sum (\hat d - d)^2},\quad
        \mathrm{MAE} = \tfrac{1}{|P|} \sum |\hat d - d|,\quad
        \mathrm{rel} = \tfrac{1}{|P|} \sum |\hat d - d| / d

    and the share of pixels with max(d̂/d, d/d̂) below 1.25, 1.25² and 1.25³.

    Args:
        sums: From `depth_sums`; at least one pixel is judged.
    """
    squared, absolute, relative, *within = (
        _ratio(sums[:, column], sums[:, 0]) for column in range(1, 7)
    )
    root = squared.value**0.5
    error = squared.standard_error
    of_root = None if error is None or root == 0 else error / (2 * root)
    named = zip(WITHIN, within, strict=True)
    return {
        "rmse": Figure(root, of_root),
        "mae": absolute,
        "rel": relative,
        **{f"within {factor}": each for factor, each in named},
    }


def overlaps(
    answers: Int[Tensor, "n h w"], masks: Int[Tensor, "n h w"], classes: int
) -> Float[Tensor, "n classes 2"]:
    """Of each image and class: pixels in answer and mask both, and in either of them.

    Args:
        answers: From 0.
        masks: True classes; below 0 where nothing is judged.
        classes: How many there are.
    """
    judged = masks >= 0
    count = len(masks)
    image = torch.arange(count, device=masks.device)[:, None, None].expand(masks.shape)[judged]

    def counted(labels: Tensor, rows: Tensor) -> Tensor:
        found = torch.bincount(rows * classes + labels, minlength=count * classes)
        return found.view(count, classes)

    said, true = answers[judged].long(), masks[judged].long()
    right = said == true
    both = counted(true[right], image[right])
    either = counted(said, image) + counted(true, image) - both
    return torch.stack([both, either], dim=2).double()


def segmentation_figures(found: Float[Tensor, "n classes 2"]) -> dict[str, Figure]:
    """Mean over classes of intersection over union, over all images; and the share that is right.

    A class that no judged pixel has and no answer names is left out of the mean.

    Args:
        found: From `overlaps`; at least one pixel is judged.
    """
    both, either = found[..., 0], found[..., 1]
    there = either.sum(dim=0) > 0
    both, either = both[:, there], either[:, there]
    total = either.sum(dim=0)
    shares = both.sum(dim=0) / total
    # By the delta method: what each image adds to the mean of ratios.
    rest = ((both - shares * either) / total).mean(dim=1)
    right = both.sum(dim=1)
    # Of answers that differ from the truth, two classes have the pixel in their union.
    judged = (either.sum(dim=1) + right) / 2
    return {
        "mean_iou": Figure(float(shares.mean()), _error_of(rest)),
        "pixel_accuracy": _ratio(right, judged),
    }


def _ratio(above: Float[Tensor, " n"], below: Float[Tensor, " n"]) -> Figure:
    """Ratio of two sums over images, with the standard error of a ratio of means."""
    total = below.sum()
    value = float(above.sum() / total)
    return Figure(value, _error_of((above - value * below) / total))


def _error_of(rest: Float[Tensor, " n"]) -> float | None:
    """Standard error of a sum from what each image adds beside its share; None of one image."""
    count = len(rest)
    if count < 2:
        return None
    return float((count / (count - 1) * (rest**2).sum()).sqrt())
