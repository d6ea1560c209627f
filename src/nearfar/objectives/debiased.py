"""Debiased contrastive losses: what a batch says of true negatives, or of true positives.

Of the candidates that a batch holds, a fraction tau_plus belongs to the anchor's own class. Where h
is averaged over candidates p, over true positives p⁺ and over true negatives p⁻,

    E_p h = tau_plus · E_p⁺ h + (1 − tau_plus) · E_p⁻ h ,

so either unknown mean follows from the other two. All is computed from logarithms: h = e^{cosine/T}
leaves the range of float32 at T = 0.01.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives.checks import (
    require_not_negative,
    require_one_of,
    require_pairs,
    require_positive,
    require_several,
)
from nearfar.objectives.negatives import Negatives, negatives_of
from nearfar.objectives.precision import log_add, minus_log_share, unit_rows, without_autocast
from nearfar.similarity.one_core import rows_on_one_core


@rows_on_one_core
def debiased_neg(
    views: Sequence[Float[Tensor, "batch dim"]],
    *,
    temperature: float = 0.5,
    tau_plus: float = 0.1,
    beta: float = 0.0,
    labels: Integer[Tensor, " batch"] | None = None,
    rescale: bool = False,
) -> Float[Tensor, ""]:
    """Contrastive loss freed of false negatives (Chuang et al. 2020, eq. 7 and 8).

    With `h = e^{cosine / T}`, S the sum of h over an anchor's N negatives, v that of its positive
    and v̄ the mean over all its positives,

        N g = max{ (S − τ⁺ N v̄) / (1 − τ⁺), N e^{−1/T} },   ℓ = −log( v / (v + N g) ).

    With `beta` above 0, hard negatives weigh more (Robinson et al. 2021): S becomes
    `Σ w h / mean(w)` with `w = h^β`. Memory grows with the batch, not with its square.

    The anchors are the 2·batch rows of the first two views; each has the other of the two as its
    positive and the N = 2·batch − 2 rows of other examples in these two views as negatives. Further
    views serve as more positives in v̄ only, as in the code of Troshestova & Isachenko (2023).

    With `labels`, other examples of an anchor's class are left out of S, and N stays as it is, as
    in that code ("false negatives dropped").

    Args:
        views: Two or more views of the same examples; row i of each is of example i; normalised
            here.
        temperature: Above 0.
        tau_plus: Probability that a negative is of the anchor's class, 0 or above and below 1. At
            0, and `beta` 0, this is NT-Xent.
        beta: Concentration on hard negatives, 0 or above.
        labels: A class number for each example, 0 or above, to drop false negatives by.
        rescale: Multiply the sum over the negatives that labels leave by N over their number.

    Returns:
        Mean over the anchors, in nats: float64 for float64, else float32. NaN or infinity in the
        embeddings gives NaN.

    Raises:
        NearfarError: There are fewer than two views, shapes differ, the batch is below 2, or the
            labels do not fit or are all equal.
        SettingError: A setting is out of range, or `rescale` comes without labels.

    Source:
        Chuang et al. 2020, Debiased Contrastive Learning, arXiv:2007.00224; hard negatives:
        Robinson et al. 2021, arXiv:2010.04592.
    """
    _require_views(views, "debiased_neg")
    require_positive("temperature", temperature)
    require_not_negative("beta", beta)
    if not 0 <= tau_plus < 1:
        raise SettingError(f"tau_plus is {tau_plus}: it must be 0 or above, and below 1")
    with without_autocast(views[0]):
        units = [unit_rows(view) for view in views]
        number = 2 * len(units[0]) - 2
        rows = torch.cat(units[:2])
        chosen = negatives_of(rows, labels, rescale, "debiased_neg")
        negatives = chosen.log_sum(rows, (1 + beta) / temperature)
        if beta:
            weights = chosen.log_sum(rows, beta / temperature)
            negatives = negatives - weights + chosen.log_number
        positives = _log_positives(units, temperature)
        of_own_class = _log_mean(positives) + _log(tau_plus * number)
        lowest = math.log((1 - tau_plus) * number) - 1 / temperature
        true_negatives = _log_difference(negatives, of_own_class, lowest) - math.log(1 - tau_plus)
        return minus_log_share(positives[:, 0], true_negatives).mean()


@rows_on_one_core
def debiased_pos(
    views: Sequence[Float[Tensor, "batch dim"]],
    *,
    temperature: float = 0.5,
    tau_plus: float = 0.1,
    positives: Literal["grouping", "combination"] = "grouping",
    marginal_over: Literal["candidates", "negatives"] = "candidates",
    labels: Integer[Tensor, " batch"] | None = None,
    rescale: bool = False,
) -> Float[Tensor, ""]:
    """Contrastive loss freed of false positives (Troshestova & Isachenko 2023).

    With `h = e^{cosine / T}`, S the sum of h over an anchor's N negatives, v that of its positive
    and `s = e^{1/T}` that of itself, the true positives' mean follows from the mean over all
    candidates and that over negatives:

        P = (S + v + s) / (N + 2),   g = S / N,   A = max{ P − (1 − τ⁺) g, τ⁺ e^{−1/T} },
        ℓ = −log( A / (A + N τ⁺ g) ).

    Without `labels`, the maximum only takes hold where N τ⁺ is below 2 (1 − τ⁺): in tiny batches.
    Memory grows with the batch, not with its square.

    The anchors are the 2·batch rows of two views, the negatives the N = 2·batch − 2 rows of other
    examples in these two. Of more than two views, "grouping" takes the first two so and replaces v
    by the mean of h over all positives; "combination" is the mean loss over all pairs of views.

    With `labels`, other examples of an anchor's class are left out of g, whose S is then a sum over
    fewer while N stays as it is ("false negatives dropped"). They remain candidates in P, as in the
    paper's text (equation 13) and in two early versions of the authors' code; from 12 April 2023 on
    the code takes them, and the anchor itself, out of P too.

    Args:
        views: Two or more views of the same examples; row i of each is of example i; normalised
            here.
        temperature: Above 0.
        tau_plus: Probability that a candidate is of the anchor's class, above 0 and below 1.
        positives: What becomes of more than two views, as above.
        marginal_over: What S + v + s is divided by to give P: all N + 2 candidates, which makes it
            a mean, or the N negatives, as the second version of the authors' code did.
        labels: A class number for each example, 0 or above, to drop false negatives by.
        rescale: Multiply the sum in g over the negatives that labels leave by N over their number,
            which makes g their mean.

    Returns:
        Mean over the anchors, in nats: float64 for float64, else float32. NaN or infinity in the
        embeddings gives NaN.

    Raises:
        NearfarError: There are fewer than two views, shapes differ, the batch is below 2, or the
            labels do not fit or are all equal.
        SettingError: A setting is out of range or unknown, or `rescale` comes without labels.

    Source:
        Troshestova and Isachenko 2023, github.com/intsystems/2023-Project-123.
    """
    _require_views(views, "debiased_pos")
    require_positive("temperature", temperature)
    require_one_of("positives", positives, ("grouping", "combination"))
    require_one_of("marginal_over", marginal_over, ("candidates", "negatives"))
    if not 0 < tau_plus < 1:
        raise SettingError(f"tau_plus is {tau_plus}: it must be above 0 and below 1")
    number = 2 * len(views[0]) - 2
    divisor = number + 2 if marginal_over == "candidates" else number
    with without_autocast(views[0]):
        units = [unit_rows(view) for view in views]
        chosen = negatives_of(torch.cat(units[:2]), labels, rescale, "debiased_pos")
        groups = [units] if positives == "grouping" else combinations(units, 2)
        losses = [_debiased_pos(group, chosen, temperature, tau_plus, divisor) for group in groups]
        return torch.stack(losses).mean()


def _debiased_pos(
    units: Sequence[Tensor],
    chosen: Negatives,
    temperature: float,
    tau_plus: float,
    divisor: int,
) -> Float[Tensor, ""]:
    """The loss of the anchors in the first two views."""
    number = 2 * len(units[0]) - 2
    rows = torch.cat((units[0], units[1]))
    negatives, dropped = chosen.log_sum_beside_dropped(rows, 1 / temperature)
    positives = _log_mean(_log_positives(units, temperature))
    seen = log_add(positives, positives.new_full((), 1 / temperature))
    if dropped is not None:
        seen = log_add(seen, dropped)
    # divisor · A = v + s + dropped + S (1 − (1 − τ⁺) r divisor / N), S rescaled by r or r = 1: a
    # difference only where that weight is negative, which takes a small N or r above 1.
    weight = 1 - (1 - tau_plus) * divisor / number * chosen.rescaling.exp()
    added = log_add(seen, negatives + weight.relu().log())
    taken = negatives + (-weight).relu().log()
    lowest = math.log(tau_plus * divisor) - 1 / temperature
    true_positives = _log_difference(added, taken, lowest) - math.log(divisor)
    of_class = negatives + chosen.rescaling + math.log(tau_plus)
    return minus_log_share(true_positives, of_class).mean()


def _require_views(views: Sequence[Tensor], what: str) -> None:
    if isinstance(views, Tensor) or len(views) < 2:
        raise NearfarError(f"{what} needs a sequence of 2 views or more, each (batch, dim)")
    for view in views[1:]:
        require_pairs(views[0], view)
    require_several(views[0], what)


def _log_positives(units: Sequence[Tensor], temperature: float) -> Float[Tensor, "rows positives"]:
    """For each row of the first two views, log h of the other of the two, then of further views."""
    first, second, *more = units
    by_first = torch.stack([(first * other).sum(dim=1) for other in (second, *more)], dim=1)
    by_second = torch.stack([(second * other).sum(dim=1) for other in (first, *more)], dim=1)
    return torch.cat((by_first, by_second)) / temperature


def _log_mean(logarithms: Float[Tensor, "rows terms"]) -> Float[Tensor, " rows"]:
    return logarithms.logsumexp(dim=1) - math.log(logarithms.shape[1])


def _log(value: float) -> float:
    """The logarithm, minus infinity for 0."""
    return math.log(value) if value else -math.inf


def _log_difference(
    minuend: Float[Tensor, " rows"], subtrahend: Float[Tensor, " rows"], lowest: float
) -> Float[Tensor, " rows"]:
    """`log max{ e^a − e^b, e^lowest }`, with gradient 0 where the maximum takes hold."""
    gap = subtrahend - minuend
    # e^a − e^b > e^lowest, without leaving the logarithms. NaN is not clamped: it must show.
    clamped = torch.logaddexp(subtrahend, subtrahend.new_full((), lowest)) >= minuend
    # −1 is any gap whose logarithm and gradient exist; where() takes the gradient of both sides.
    gap = torch.where(clamped, -1.0, gap)
    return torch.where(clamped, lowest, minuend + (-gap.expm1()).log())
