"""Segmentation from frozen maps: a head learns the class of each pixel, judged on test images."""

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from nearfar.evaluation.dense_judging import Dense, why_not
from nearfar.evaluation.dense_metrics import overlaps, segmentation_figures
from nearfar.evaluation.dense_specs import SegmentationSpec
from nearfar.evaluation.judged import Found, Judged


def pixel_loss(outputs: Float[Tensor, "n c h w"], masks: Int[Tensor, "n h w"]) -> Tensor:
    """Mean cross-entropy over the judged pixels; 0 where there are none."""
    judged = (masks >= 0).sum().clamp(min=1)
    return F.cross_entropy(outputs, masks.long(), ignore_index=-1, reduction="sum") / judged


def judge(spec: SegmentationSpec, judged: Judged) -> Found:
    """Mean intersection over union, and the share of pixels that are right."""
    stopped = why_not(spec, judged)
    if stopped is not None:
        return stopped
    names = judged.source.mask_names
    assert names is not None
    classes = len(names)

    def answer(outputs: Tensor) -> Tensor:
        return outputs.argmax(dim=1)

    def count(outputs: Tensor, masks: Tensor) -> Tensor:
        return overlaps(answer(outputs), masks, classes)

    work = Dense(spec, judged, pixel_loss, classes, answer, count, names)
    records = []
    fits = work.found()
    for parameters, found, _ in fits:
        judged_images = found[..., 1].sum(dim=1) > 0
        if not bool(judged_images.any()):
            return Found(notes=["segmentation left out: no test pixel is judged"])
        images = int(judged_images.sum())
        figures = segmentation_figures(found)
        records += [
            work.record(name, figure, parameters, images) for name, figure in figures.items()
        ]
    return Found(
        records, arrays=work.shown(fits) | {"segmentation_names": np.array(names, dtype=np.str_)}
    )
