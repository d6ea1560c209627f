"""Rows of other examples as negatives, and what is left of them where labels are known."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives.checks import require_labels
from nearfar.similarity.logsumexp import logsumexp, split_logsumexp
from nearfar.similarity.pairs import Pairs


@dataclass(frozen=True)
class Negatives:
    """Which rows of two views are an anchor's negatives.

    All rows of other examples; with labels, those of other classes alone.

    Attributes:
        examples: Each of the 2·batch rows' example.
        classes: Each row's label; None where all other examples are negatives.
        rescaling: Logarithm of what the sum over negatives is multiplied by, for each row or all.
        log_number: Logarithm of how many negatives that sum then stands for, likewise.
    """

    examples: Integer[Tensor, " rows"]
    classes: Integer[Tensor, " rows"] | None
    rescaling: Float[Tensor, "..."]
    log_number: Float[Tensor, "..."]

    def log_sum(self, rows: Float[Tensor, "rows dim"], scale: float) -> Float[Tensor, " rows"]:
        """For each row, log-sum-exp over its negatives, rescaled if wanted."""
        left_out = self.examples if self.classes is None else self.classes
        found = logsumexp(rows, rows, scale=scale, pairs=Pairs(apart=(left_out, left_out)))
        return found + self.rescaling

    def log_sum_beside_dropped(
        self, rows: Float[Tensor, "rows dim"], scale: float
    ) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"] | None]:
        """For each row, log-sum-exp over its negatives, not rescaled, and over those dropped."""
        if self.classes is None:
            return self.log_sum(rows, scale), None
        dropped, negatives = split_logsumexp(
            rows,
            rows,
            scale=scale,
            groups=(self.classes, self.classes),
            pairs=Pairs(apart=(self.examples, self.examples)),
        )
        return negatives, dropped


def negatives_of(
    rows: Float[Tensor, "rows dim"],
    labels: Integer[Tensor, " batch"] | None,
    rescale: bool,
    what: str,
) -> Negatives:
    """The negatives of the rows of two views.

    Args:
        rows: Both views', of `batch` rows each.
        labels: Of the examples; where given, rows of an anchor's label are no negatives.
        rescale: Multiply the sum over the negatives left by N over their number, as if there were
            still all N = 2·batch − 2 of them.
        what: The objective, for errors.

    Raises:
        NearfarError: The labels do not fit, or all are equal.
        SettingError: Rescaling is asked for without labels.
    """
    batch = len(rows) // 2
    log_of_all = rows.new_full((), 2 * batch - 2).log()
    nothing = torch.zeros_like(log_of_all)
    examples = torch.arange(batch, device=rows.device).repeat(2)
    if labels is None:
        if rescale:
            raise SettingError("rescale makes up for negatives that labels drop: pass labels too")
        return Negatives(examples, None, nothing, log_of_all)
    require_labels(labels, batch)
    _, classes, sizes = labels.long().unique(return_inverse=True, return_counts=True)
    if len(sizes) == 1:
        raise NearfarError(
            f"{what} drops negatives of an anchor's class, and all {batch} examples of this batch "
            "are of one class: use larger batches"
        )
    log_of_left = (2 * batch - 2 * sizes[classes].repeat(2)).to(rows.dtype).log()
    if rescale:
        return Negatives(examples, classes.repeat(2), log_of_all - log_of_left, log_of_all)
    return Negatives(examples, classes.repeat(2), nothing, log_of_left)
