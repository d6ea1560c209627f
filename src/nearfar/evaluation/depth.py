"""Depth from frozen maps: a head learns the depth of each pixel, and is judged on test images."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.data.source import Examples, StreamedExamples
from nearfar.evaluation.dense_judging import Dense, why_not
from nearfar.evaluation.dense_metrics import WITHIN, depth_figures, depth_sums
from nearfar.evaluation.dense_specs import DepthSpec
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record


class Depths:
    """What is learnt and judged of depths, and how outputs become depths.

    Outputs are 0 at the mean of the training depths: in log units of depth for the loss `log`, in
    means of the depth for `l1`.

    Args:
        spec: Loss and range.
        depths: Of the training part.
    """

    def __init__(self, spec: DepthSpec, depths: Examples) -> None:
        self.loss_is_log = spec.loss == "log"
        self.low = spec.min_depth
        count, total, logs, highest = 0, 0.0, 0.0, 0.0
        for first in range(0, len(depths), 256):
            known = self.judged(_slice(depths, first, 256), spec.max_depth)
            known = known[torch.isfinite(known)].double()
            if len(known):
                count += len(known)
                total, logs = total + float(known.sum()), logs + float(known.log().sum())
                highest = max(highest, float(known.max()))
        self.known = count
        self.mean, self.log_mean = (total / count, logs / count) if count else (1.0, 0.0)
        self.high = spec.max_depth or highest

    def judged(self, depths: Float[Tensor, "n h w"], high: float | None) -> Tensor:
        """Depths with NaN where they are out of range."""
        inside = (depths >= self.low) & (depths <= (torch.inf if high is None else high))
        return torch.where(inside, depths, torch.nan)

    def loss(self, outputs: Float[Tensor, "n 1 h w"], depths: Float[Tensor, "n h w"]) -> Tensor:
        """Mean over the known pixels: squared error of log depth, or absolute error in means."""
        known = torch.isfinite(self.judged(depths, self.high))
        truth = torch.where(known, depths, self.mean)
        if self.loss_is_log:
            errors = (outputs[:, 0] + self.log_mean - truth.log()) ** 2
        else:
            errors = (outputs[:, 0] + 1 - truth / self.mean).abs()
        return (errors * known).sum() / known.sum().clamp(min=1)

    def of(self, outputs: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n h w"]:
        """Depths that outputs stand for, kept in range."""
        if self.loss_is_log:
            depths = (outputs[:, 0].double() + self.log_mean).exp()
        else:
            depths = (outputs[:, 0].double() + 1) * self.mean
        return depths.clamp(self.low, self.high)


def judge(spec: DepthSpec, judged: Judged) -> Found:
    """Errors of depth over all test pixels that are in the crop and in range."""
    stopped = why_not(spec, judged)
    if stopped is not None:
        return stopped
    train = judged.source.train.depths
    assert train is not None
    depths = Depths(spec, train)
    if not depths.known:
        return Found(notes=["depth left out: no training pixel has a depth in range"])

    def count(outputs: Tensor, truth: Tensor) -> Tensor:
        inside = cropped(depths.judged(truth, spec.max_depth), spec.crop)
        return depth_sums(cropped(depths.of(outputs), spec.crop), inside)

    def answer(outputs: Tensor) -> Tensor:
        return depths.of(outputs).float()

    work = Dense(spec, judged, depths.loss, 1, answer, count, "depth")
    records: list[Record] = []
    fits = work.found()
    for parameters, sums, _ in fits:
        if not sums[:, 0].sum():
            return Found(notes=["depth left out: no test pixel has a depth in range"])
        parameters |= _asked(spec)
        figures = depth_figures(sums)
        images = int((sums[:, 0] > 0).sum())
        for name in ("rmse", "mae", "rel"):
            records.append(work.record(f"depth_{name}", figures[name], parameters, images))
        for factor in WITHIN:
            told = {"within": factor, **parameters}
            figure = figures[f"within {factor}"]
            records.append(work.record("depth_within", figure, told, images))
    return Found(records, arrays=work.shown(fits))


def _asked(spec: DepthSpec) -> dict[str, str]:
    """What tells figures from those of other settings, where it is not as by itself."""
    asked = {"loss": "learnt by absolute error"} if spec.loss == "l1" else {}
    plain = DepthSpec()
    changed = []
    if (spec.min_depth, spec.max_depth) != (plain.min_depth, plain.max_depth):
        high = "" if spec.max_depth is None else f" to {spec.max_depth:g}"
        changed.append(f"depths from {spec.min_depth:g}{high}")
    if spec.crop != plain.crop:
        changed.append(f"cropped to {' '.join(f'{each:g}' for each in spec.crop)}")
    return asked | ({"judged": ", ".join(changed)} if changed else {})


def cropped(maps: Tensor, crop: tuple[float, float, float, float]) -> Tensor:
    """The rows and columns of maps `(n, h, w)` that are judged, at least one of each.

    Args:
        crop: First and last row, first and last column, in shares.
    """
    height, width = maps.shape[1:]
    top, bottom = round(crop[0] * height), round(crop[1] * height)
    left, right = round(crop[2] * width), round(crop[3] * width)
    top, left = min(top, height - 1), min(left, width - 1)
    return maps[:, top : max(bottom, top + 1), left : max(right, left + 1)]


def _slice(examples: Examples, first: int, count: int) -> Tensor:
    last = min(first + count, len(examples))
    if isinstance(examples, StreamedExamples):
        return torch.stack([examples[index] for index in range(first, last)])
    return examples[first:last]
