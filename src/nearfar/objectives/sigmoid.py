"""The sigmoid loss of SigLIP: every pair is a yes-or-no question of its own."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nearfar.objectives.checks import require_a_row, require_finite, require_pairs, require_scale
from nearfar.objectives.precision import scalar_in_full_precision, unit_rows, without_autocast
from nearfar.similarity.one_core import rows_on_one_core
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.softplus import softplus_sum


@rows_on_one_core
def sigmoid(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    scale: float | Float[Tensor, ""],
    bias: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Pairwise sigmoid loss (Zhai et al. 2023, section 3.2).

    `−(1/batch) Σ_i Σ_j log σ( z_ij (scale · x_i·y_j + bias) )` over normalised rows, with `z_ij` 1
    for the own pair (i = j) and −1 for all others. Memory grows with the batch, not its square.

    Args:
        first: Embeddings of one kind (images); normalised here.
        second: Embeddings of the other (texts); row i belongs to row i of `first`.
        scale: Above 0; the authors learn its logarithm from log 10. A tensor gets its gradient, and
            its value is not looked at.
        bias: The authors learn it from −10, which makes up for the many pairs that do not belong
            together. A tensor gets its gradient.

    Returns:
        Sum over all pairs divided by the batch, in nats: float64 for float64, else float32. NaN or
        infinity in the embeddings gives NaN.

    Raises:
        NearfarError: The shapes differ, or there is no row.
        SettingError: The scale is a number not above 0, the bias an infinite one, or either a
            tensor of more than one.

    Source:
        Zhai, Mustafa, Kolesnikov and Beyer 2023, Sigmoid Loss for Language Image Pre-Training,
        arXiv:2303.15343.
    """
    require_pairs(first, second)
    require_a_row(first, "sigmoid")
    require_scale("scale", scale)
    require_finite("bias", bias)
    with without_autocast(first):
        first, second = unit_rows(first), unit_rows(second)
        scale, bias = scalar_in_full_precision(scale), scalar_in_full_precision(bias)
        others = softplus_sum(first, second, scale=scale, bias=bias, pairs=Pairs.all_but_own(first))
        own = (first * second).sum(dim=1) * scale + bias
        return (others - F.logsigmoid(own)).mean()
