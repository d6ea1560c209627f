"""Balanced softmax: cross-entropy whose softmax knows how often each class occurs."""

import torch
from jaxtyping import Float, Integer, Real
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_a_row, require_labels, require_rows
from nearfar.objectives.precision import in_full_precision, minus_log_share
from nearfar.similarity.one_core import rows_on_one_core


@rows_on_one_core
def balanced_softmax(
    logits: Float[Tensor, "batch classes"],
    labels: Integer[Tensor, " batch"],
    class_counts: Real[Tensor, " classes"],
) -> Float[Tensor, ""]:
    """Cross-entropy of logits plus log class counts (Ren et al. 2020, equation 4).

    `−log( n_y e^{η_y} / Σ_c n_c e^{η_c} )`, for training on classes of unequal sizes. Predict with
    the plain logits. A class with count 0 takes no part.

    Args:
        logits: One row an example, one column a class.
        labels: The class of each example.
        class_counts: Training examples of each class, 0 or above; whole numbers of any type.

    Returns:
        Mean over examples, in nats, 0 or above: float64 for float64, else float32. A logit of
        minus infinity is a class that cannot be; NaN or infinity gives NaN.

    Raises:
        NearfarError: The shapes do not fit, there is no row, a count is negative or not whole, or
            an example's class has count 0.

    Source:
        Ren et al. 2020, Balanced Meta-Softmax for Long-Tailed Visual Recognition, arXiv:2007.10740.
    """
    require_rows("logits", logits)
    require_a_row(logits, "balanced_softmax")
    require_labels(labels, len(logits), classes=logits.shape[1])
    require_class_counts(class_counts, labels, logits.shape[1])
    weighted = with_log_prior(logits, class_counts)
    # Relative to the largest, so that an infinite logit gives NaN and not a loss of 0.
    weighted = weighted - weighted.detach().amax(dim=1, keepdim=True)
    own = labels.long().unsqueeze(1)
    # The sum over the other classes alone keeps its precision where the loss is nearly 0.
    others = weighted.scatter(1, own, -torch.inf).logsumexp(dim=1)
    return minus_log_share(weighted.gather(1, own).squeeze(1), others).mean()


def with_log_prior(
    logits: Float[Tensor, "batch classes"], class_counts: Real[Tensor, " classes"]
) -> Float[Tensor, "batch classes"]:
    """Logits plus `log q(c)`, the log of each class's share; minus infinity where it has none.

    Balanced softmax does not see that shares take the place of counts: it adds the same number to
    all classes.
    """
    logits = in_full_precision(logits)
    class_counts = class_counts.long()
    shares = class_counts.to(logits.dtype) / class_counts.sum()
    return logits + shares.log()


def require_class_counts(class_counts: Tensor, labels: Tensor, classes: int) -> None:
    """A count for each class, above 0 where a label names it."""
    whole = not class_counts.is_complex() and class_counts.dtype != torch.bool
    if class_counts.is_floating_point():
        whole = bool((class_counts == class_counts.round()).all() and class_counts.isfinite().all())
    if class_counts.shape != (classes,) or not whole:
        raise NearfarError(
            f"class_counts must be {classes} whole numbers, one a class, and are"
            f" {tuple(class_counts.shape)} of {class_counts.dtype}"
        )
    labels, class_counts = labels.long(), class_counts.long()
    if (class_counts < 0).any():
        raise NearfarError(f"class_counts hold {int(class_counts.min())}: no count is below 0")
    empty = labels[class_counts[labels] == 0]
    if len(empty):
        raise NearfarError(
            f"class_counts say that class {int(empty[0])} has no example, but a label names it"
        )
