"""A linear classifier on frozen features, its form and penalty chosen on training data alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nearfar.errors import NearfarError
from nearfar.evaluation.accuracy import LabelledFeatures, notes_on_forms, score_records
from nearfar.evaluation.accuracy_specs import LinearProbeSpec
from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.forms import Form, Transform, forms, transforms
from nearfar.evaluation.judged import Found, Judged, Told, silent, within
from nearfar.evaluation.records import FEATURE_NAMES, Record
from nearfar.evaluation.softmax_regression import MAX_STEPS, SoftmaxFit, SoftmaxRegression

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""L2 penalties tried, strongest first."""
CHOICE_LIMIT = 10_000
"""Training images that the choice of the penalty uses at most; the final fit uses all."""
FORM_LIMIT = 2_500
"""Training images that the choice of the form uses at most."""
CHOICE_GAP = 1e-3
"""Nats above the minimum at which fits rest that only serve a choice."""
_COARSE = PENALTIES[::2]
WORSE = 2
"""Penalties in a row that do worse than the best, after which no smaller one is tried."""


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear classifier.

    Attributes:
        form: What is done to features first.
        weight: `(classes, r)`; a class without training examples has zeros.
        bias: `(classes,)`; minus infinity for a class without training examples.
        l2: The penalty it was fitted with.
        converged: Whether it came to rest: at most `GAP` nats above its minimum.
    """

    form: Form
    weight: Tensor
    bias: Tensor
    l2: float
    converged: bool

    def log_probabilities(self, features: Float[Tensor, "m dim"]) -> Float[Tensor, "m classes"]:
        """Log-probability of every class.

        Args:
            features: As they come from the encoder; the probe brings them into its form.
        """
        logits = self.form(features) @ self.weight.T + self.bias
        return torch.log_softmax(logits, dim=1)


def fit(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    l2: float,
    form: Form,
    num_classes: int,
    balanced: bool = False,
    start: SoftmaxFit | None = None,
    told: Told = silent,
) -> LinearProbe:
    """Multinomial logistic regression: mean cross-entropy (nats) + l2/2 ‖weight‖².

    Args:
        features: Training features as they come from the encoder.
        labels: Their classes.
        l2: Penalty on the weights of formed features; the bias is free.
        form: From the training features.
        num_classes: Columns of the answer.
        balanced: The mean is over classes, of each class's mean.
        start: Weights to begin at.
        told: Told how far the fit is.

    Raises:
        NearfarError: If fewer than two classes are present.
    """
    _check_classes(labels)
    found = _problem(features, labels, form, num_classes, balanced).fit(
        l2, start=start, told=_of_steps(told, l2, form)
    )
    return _probe(form, found, l2)


def choose_penalty(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    form: Form,
    num_classes: int,
    seed: int,
    balanced: bool = False,
    penalties: Sequence[float] = PENALTIES,
    told: Told = silent,
) -> tuple[float, SoftmaxFit | None]:
    """The penalty of the probe that errs least on a part of the training data held out for it.

    Args:
        features: Training features; test features have no business here.
        labels: Their classes.
        form: From the training features.
        num_classes: Number of classes.
        seed: Seeds the split into fitting and choosing.
        balanced: Every class weighs the same, in the fits and in what is best.
        penalties: Tried in this order, strongest first, until two in a row do worse than the best;
            of equals in accuracy the lower cross-entropy wins.
        told: Told how far the choice is.

    Returns:
        The penalty, and the weights that it gave; none where no choice can be made.
    """
    fitting, choosing = choice_split(features, labels, limit=CHOICE_LIMIT, seed=seed)
    if len(torch.unique(labels[fitting])) < 2 or not len(choosing):
        return penalties[len(penalties) // 2], None
    _, l2, found = _best(
        features, labels, fitting, choosing, form, num_classes, penalties, balanced, told
    )
    return l2, found


def choose_form(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    offered: Sequence[Form],
    *,
    num_classes: int,
    seed: int,
    balanced: bool = False,
    told: Told = silent,
) -> Form:
    """The form in which a probe errs least on a part of the training data held out for it.

    Of equal forms the first wins. Test features have no business here. Where classes are
    `balanced`, each weighs the same, in the fits and in what is best.
    """
    fitting, choosing = choice_split(features, labels, limit=FORM_LIMIT, seed=seed)
    if len(torch.unique(labels[fitting])) < 2 or not len(choosing):
        return offered[0]
    scores = []
    for place, form in enumerate(offered):
        score, _, _ = _best(
            features,
            labels,
            fitting,
            choosing,
            form,
            num_classes,
            _COARSE,
            balanced,
            within(told, place / len(offered), (place + 1) / len(offered)),
        )
        scores.append(score)
    return offered[max(range(len(offered)), key=scores.__getitem__)]


def linear_probe(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    num_classes: int,
    seed: int = 0,
    balanced: bool = False,
    offered: Sequence[Transform] | None = None,
    told: Told = silent,
) -> LinearProbe:
    """The linear probe of the literature: choose form and penalty, then fit on all training data.

    Args:
        features: Training features as they come from the encoder.
        labels: Their classes.
        num_classes: Number of classes.
        seed: Seeds the splits that form and penalty are chosen on.
        balanced: Every class weighs the same, in the fits and in what is chosen by.
        offered: What may be done to features first; by default everything in `transforms`.
        told: Told how far the work is.

    Raises:
        NearfarError: If fewer than two classes are present.
    """
    _check_classes(labels)
    every = forms(features, transforms(features) if offered is None else offered)
    # Shares of the whole by the rows of every fit, the last one twice, for it is the closest.
    count = len(features)
    by_form = len(every) * len(_COARSE) * min(count, FORM_LIMIT)
    by_penalty = len(PENALTIES) * min(count, CHOICE_LIMIT)
    total = by_form + by_penalty + 2 * count
    chosen, ready = by_form / total, (by_form + by_penalty) / total
    form = choose_form(
        features,
        labels,
        every,
        num_classes=num_classes,
        seed=seed,
        balanced=balanced,
        told=within(told, 0.0, chosen),
    )
    l2, start = choose_penalty(
        features,
        labels,
        form=form,
        num_classes=num_classes,
        seed=seed,
        balanced=balanced,
        told=within(told, chosen, ready),
    )
    return fit(
        features,
        labels,
        l2=l2,
        form=form,
        num_classes=num_classes,
        balanced=balanced,
        start=start,
        told=within(told, ready, 1.0),
    )


def judge(spec: LinearProbeSpec, judged: Judged) -> Found:
    """Accuracies of the probe on all labels."""
    data, kind = judged.labelled, judged.kind
    judged.say(f"linear probe: {kind}")
    records, answers = linear_probe_records(
        data,
        judged.seed,
        lambda what, done: judged.say(f"linear probe: {kind}, {what}", done),
        balanced=spec.balanced,
    )
    unrested = [
        f"linear probe of {FEATURE_NAMES[kind]}: not at rest after {MAX_STEPS} steps, one at rest "
        "may read more or less"
    ]
    rested = records[0].parameters["converged"]
    return Found(
        records, notes=[*notes_on_forms(data), *([] if rested else unrested)], answers=answers
    )


def linear_probe_records(
    data: LabelledFeatures, seed: int, told: Told = silent, *, balanced: bool = False
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """Accuracies of the linear probe on all labels, and the predicted class of every test image."""
    probe = linear_probe(
        data.train,
        data.train_labels,
        num_classes=data.num_classes,
        seed=seed,
        balanced=balanced,
        offered=data.transforms,
        told=told,
    )
    scores = probe.log_probabilities(data.test).exp()
    parameters = {
        "l2": probe.l2,
        "converged": probe.converged,
        "transform": probe.form.name,
    }
    if balanced:
        parameters["balanced"] = True
    return score_records("linear_probe", data, scores, parameters), scores.argmax(dim=1)


def _best(
    features: Tensor,
    labels: Tensor,
    fitting: Tensor,
    choosing: Tensor,
    form: Form,
    num_classes: int,
    penalties: Sequence[float],
    balanced: bool,
    told: Told = silent,
) -> tuple[tuple[float, float], float, SoftmaxFit]:
    """Score (accuracy, mean log-probability), penalty and weights of the best penalty."""
    problem = _problem(features[fitting], labels[fitting], form, num_classes, balanced)
    asked, own = form(features[choosing]), labels[choosing]
    tried: list[tuple[tuple[float, float], float, SoftmaxFit]] = []
    start = None
    for place, l2 in enumerate(penalties):
        of_fit = within(told, place / len(penalties), (place + 1) / len(penalties))
        start = problem.fit(
            l2, start=start, gap=CHOICE_GAP, told=_of_steps(of_fit, l2, form, "trying ")
        )
        log_p = torch.log_softmax(asked @ start.weight.float().T + start.bias.float(), dim=1)
        right = _mean((log_p.argmax(dim=1) == own).double(), own, balanced)
        # A class that is known to the choosing rows alone has no probability.
        likely = log_p.gather(1, own[:, None]).squeeze(1).clamp(min=-100).double()
        likely = _mean(likely, own, balanced)
        tried.append(((float(right), float(likely)), l2, start))
        best = max(range(len(tried)), key=lambda place: tried[place][0])
        if len(tried) - 1 - best >= WORSE:
            break
    return max(tried, key=lambda each: each[0])


def _mean(
    values: Float64[Tensor, " n"], labels: Int64[Tensor, " n"], balanced: bool
) -> Float64[Tensor, ""]:
    """Over rows, or over classes of the mean of each."""
    if not balanced:
        return values.mean()
    _, places, sizes = labels.unique(return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(sizes)).index_add(0, places, values)
    return (sums / sizes).mean()


def _problem(
    features: Tensor, labels: Tensor, form: Form, num_classes: int, balanced: bool
) -> SoftmaxRegression:
    """What is to be minimised, in the axes that the form knows where they pay."""
    axes = form.transform.axes
    worth = axes is not None and len(features) >= len(axes)
    return SoftmaxRegression(
        form(features),
        labels,
        num_classes=num_classes,
        axes=axes if worth else None,
        balanced=balanced,
    )


def _probe(form: Form, found: SoftmaxFit, l2: float) -> LinearProbe:
    return LinearProbe(form, found.weight.float(), found.bias.float(), l2, found.converged)


def _of_steps(told: Told, l2: float, form: Form, trying: str = "") -> Callable[[int, float], None]:
    """Says how far a fit is: its gradient falls by about the same factor at every step."""
    first, done = 0.0, 0.0

    def of_step(steps: int, left: float) -> None:
        nonlocal first, done
        first = max(first, left)
        if first > 1:  # how many times that at which it rests
            done = max(done, min(1.0, 1 - math.log(max(left, 1)) / math.log(first)))
        told(f"{trying}{form.name}, penalty {l2:g}, step {steps}", done)

    return of_step


def _check_classes(labels: Tensor) -> None:
    if len(torch.unique(labels)) < 2:
        raise NearfarError("a linear probe needs training images of two classes or more: found one")
