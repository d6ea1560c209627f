"""The linear probe with a handful of labels a class, over several draws of them."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.forms import Form
from nearfar.evaluation.knn import hits
from nearfar.evaluation.linear_probe import FORM_LIMIT, fit
from nearfar.evaluation.progress import Told, silent, within

FEW_LABELS_L2 = 1e-4
"""The one penalty of every few-label probe: no label is spared to choose it."""
MOST_CHOICE_DRAWS, CHOICE_LABELS = 3, 2_000
"""Draws that choose the form: so many, fewer where they are larger than 2000 labels together."""


def draw_labels(
    labels: Int64[Tensor, " n"], per_class: int, draws: int, *, seed: int
) -> list[Int64[Tensor, " m"]]:
    """Which training images get to keep their label, in every draw.

    A draw depends on the labels, `per_class` and the seed alone: encoder and baselines that are
    given the same draws differ by their features only, so their differences are paired.

    Args:
        labels: Class of every training image.
        per_class: Labels a class; a class that has fewer gives all of them.
        draws: Number of draws.
        seed: Seeds them.

    Returns:
        `draws` tensors of image numbers, in rising order.

    Raises:
        SettingError: If `per_class` or `draws` is below 1.
    """
    if per_class < 1 or draws < 1:
        raise SettingError(
            f"few labels with {per_class} labels a class and {draws} draws: both must be 1 or more"
        )
    members = [(labels == c).nonzero().squeeze(1) for c in torch.unique(labels)]
    chosen = []
    for draw in range(draws):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + per_class * 1009 + draw)
        picked = [m[torch.randperm(len(m), generator=generator)[:per_class]] for m in members]
        chosen.append(torch.cat(picked).sort().values)
    return chosen


def choose_form_for_few(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    offered: Sequence[Form],
    per_class: int,
    *,
    num_classes: int,
    seed: int,
    told: Told = silent,
) -> Form:
    """The form in which probes with so few labels err least, within the training data.

    Labels are drawn from four fifths of some training images, and judged by the last fifth. This
    looks at more labels than the probe has, for one choice among a handful of forms; every kind of
    features is given the same.

    Args:
        features: Training features; test features have no business here.
        labels: Their classes.
        offered: Of equals the first wins.
        per_class: Labels a class.
        num_classes: Number of classes.
        seed: Seeds the split and the draws.
        told: Told how far the choice is.
    """
    fitting, choosing = choice_split(features, labels, limit=FORM_LIMIT, seed=seed)
    classes = len(torch.unique(labels[fitting]))
    if classes < 2 or not len(choosing):
        return offered[0]
    count = max(1, min(MOST_CHOICE_DRAWS, CHOICE_LABELS // (classes * per_class)))
    draws = [fitting[drawn] for drawn in draw_labels(labels[fitting], per_class, count, seed=seed)]
    scores = []
    for place, form in enumerate(offered):
        right = few_label_hits(
            features,
            labels,
            features[choosing],
            labels[choosing],
            draws,
            form=form,
            num_classes=num_classes,
            told=within(told, place / len(offered), (place + 1) / len(offered)),
        )
        scores.append(sum(int(each.sum()) for each in right))
    return offered[max(range(len(offered)), key=scores.__getitem__)]


def few_label_hits(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    test_features: Float[Tensor, "m dim"],
    test_labels: Int64[Tensor, " m"],
    draws: list[Int64[Tensor, " k"]],
    *,
    form: Form,
    num_classes: int,
    told: Told = silent,
) -> list[Bool[Tensor, " m"]]:
    """Which test images a probe gets right (top-1) that is fitted on each draw.

    The form comes from all training features: images without labels are at hand in this protocol,
    only labels are few.

    Args:
        features: Features of all training images.
        labels: Their classes, of which only the drawn are looked at.
        test_features: Features of the test images.
        test_labels: Their classes.
        draws: From `draw_labels`.
        form: What is done to features first.
        num_classes: Number of classes.
        told: Told how far the fits are.
    """
    right = []
    for place, drawn in enumerate(draws):
        probe = fit(
            features[drawn],
            labels[drawn],
            l2=FEW_LABELS_L2,
            form=form,
            num_classes=num_classes,
            told=within(told, place / len(draws), (place + 1) / len(draws)),
        )
        scores = probe.log_probabilities(test_features).exp()
        right.append(hits(scores, test_labels, 1))
    return right
