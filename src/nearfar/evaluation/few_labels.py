"""The linear probe with a handful of labels a class, over several draws of them."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.evaluation.accuracy import LabelledFeatures, hits, notes_on_forms
from nearfar.evaluation.accuracy_specs import FewLabelsSpec
from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.forms import Form, forms
from nearfar.evaluation.judged import Found, Judged, Told, silent, within
from nearfar.evaluation.linear_probe import FORM_LIMIT, fit
from nearfar.evaluation.records import FeatureKind, Record, over_draws

FEW_LABELS_L2 = 1e-4
"""The one penalty of every few-label probe: no label is spared to choose it."""
MOST_CHOICE_DRAWS, CHOICE_LABELS = 3, 2_000
"""Draws that choose the form: so many, fewer where they are larger than 2000 labels together."""


def judge(spec: FewLabelsSpec, judged: Judged) -> Found:
    """Accuracies of probes with few labels, a mean over draws for each number of them."""
    data = judged.labelled
    judged.say(f"probes with few labels: {data.kind}")
    records = few_label_records(
        data,
        spec,
        judged.seed,
        lambda what, done: judged.say(f"few labels: {data.kind}, {what}", done),
    )
    notes = [*_notes_on_counts(data.train_labels, spec), *notes_on_forms(data)]
    return Found(records, notes=notes)


def few_label_records(
    data: LabelledFeatures, spec: FewLabelsSpec, seed: int, told: Told = silent
) -> list[Record]:
    """Top-1 over draws for every number of labels a class that at least one class has.

    The draws give every class as many labels. So many, medium and few tell here how good the
    features are of classes that the encoder saw often and seldom.
    """
    largest_class = int(torch.bincount(data.train_labels).max())
    offered = forms(data.train, data.transforms)
    asked = [count for count in spec.labels_per_class if count <= largest_class]
    records, done = [], 0.0
    for per_class in asked:
        # Work grows with the labels; to choose a form takes about as long as the draws.
        share = per_class / sum(asked)
        of_count = _of_count(told, per_class)
        to_choose = within(of_count, done, done + share / 2)
        to_fit = within(of_count, done + share / 2, done + share)
        done += share
        form = choose_form_for_few(
            data.train,
            data.train_labels,
            offered,
            per_class,
            num_classes=data.num_classes,
            seed=seed,
            told=to_choose,
        )
        draws = draw_labels(data.train_labels, per_class, spec.draws, seed=seed)
        right = few_label_hits(
            data.train,
            data.train_labels,
            data.test,
            data.test_labels,
            draws,
            form=form,
            num_classes=data.num_classes,
            told=to_fit,
        )
        parameters = {
            "labels_per_class": per_class,
            "draws": spec.draws,
            "l2": FEW_LABELS_L2,
            "transform": form.name,
        }
        records.append(_over_draws(data.kind, right, parameters))
        for group in data.groups:
            of_group = [draw[group.test] for draw in right]
            of_draws = _over_draws(data.kind, of_group, {**parameters, **group.parameters})
            records.append(of_draws)
    return records


def _of_count(told: Told, per_class: int) -> Told:
    """Says of how many labels a class the probes are."""
    return lambda what, done: told(f"{per_class} per class, {what}", done)


def _over_draws(
    kind: FeatureKind, right: list[Bool[Tensor, " m"]], parameters: dict[str, Any]
) -> Record:
    """Mean and spread of the accuracy over draws, from what is right in each."""
    values = [float(draw.double().mean()) for draw in right]
    mean, sd = over_draws(values)
    told = {**parameters, "values": values}
    return Record("few_labels", kind, "top1", mean, len(right[0]), sd, told)


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
    """
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
    features is given the same. Of equal forms the first wins.
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
        features: Of all training images.
        labels: Their classes, of which only the drawn are looked at.
        test_features: Of the test images.
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


def _notes_on_counts(train_labels: Int64[Tensor, " n"], spec: FewLabelsSpec) -> list[str]:
    """Which classes have fewer labels than were asked for."""
    counts = torch.bincount(train_labels)
    counts = counts[counts > 0]
    notes = []
    for count in spec.labels_per_class:
        short = int((counts < count).sum())
        if short == len(counts):
            notes.append(f"few labels: no class has {count} training examples, left out")
        elif short:
            notes.append(
                f"few labels: {short} of {len(counts)} classes have fewer than {count} training"
                " examples and give all they have"
            )
    return notes
