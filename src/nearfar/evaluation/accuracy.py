"""The protocols that give accuracies, on features that are given."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from nearfar.evaluation.config import EvaluationConfig
from nearfar.evaluation.few_labels import (
    FEW_LABELS_L2,
    choose_form_for_few,
    draw_labels,
    few_label_hits,
)
from nearfar.evaluation.forms import forms
from nearfar.evaluation.knn import KNNBank, hits, top_accuracy, vote
from nearfar.evaluation.knn_form import choose_transforms
from nearfar.evaluation.linear_probe import linear_probe
from nearfar.evaluation.progress import Say, Told, silent, within
from nearfar.evaluation.records import FeatureKind, Metric, Protocol, Record, over_draws
from nearfar.evaluation.shots import ShotGroup
from nearfar.evaluation.softmax_regression import MAX_STEPS
from nearfar.evaluation.transforms import Transform, is_too_large_to_whiten, transforms

FEATURE_NAMES: dict[FeatureKind, str] = {
    "encoder": "the encoder",
    "untrained": "the untrained encoder",
    "raw": "raw data",
}
TOPS: tuple[tuple[Metric, int], ...] = (("top1", 1), ("top5", 5))


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of both parts, with labels.

    Attributes:
        kind: Of what.
        train: `(n, dim)` features of the training images, and `train_labels` their classes.
        test: `(m, dim)` features of the test images, and `test_labels` their classes.
        num_classes: Number of classes.
        groups: Classes of many, of medium and of few training images, where sizes differ.
    """

    kind: FeatureKind
    train: Float[Tensor, "n dim"]
    train_labels: Int64[Tensor, " n"]
    test: Float[Tensor, "m dim"]
    test_labels: Int64[Tensor, " m"]
    num_classes: int
    groups: tuple[ShotGroup, ...] = ()

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """The forms that the features may be judged in, fitted on the training features."""
        return transforms(self.train)


def knn_records(
    data: LabelledFeatures, presets: tuple[tuple[int, float], ...], seed: int = 0
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """KNN accuracies for every preset, each with the transform that serves it on training data.

    Args:
        data: Features and labels.
        presets: k and temperature of each vote.
        seed: Seeds the split that chooses the transforms.

    Returns:
        The records, and the first preset's predicted class of every test image.
    """
    chosen = choose_transforms(
        data.train,
        data.train_labels,
        presets,
        data.transforms,
        num_classes=data.num_classes,
        seed=seed,
    )
    scores: dict[int, Float[Tensor, "m classes"]] = {}
    # One search for all presets that share a transform.
    for transform in dict.fromkeys(chosen):
        places = [place for place, each in enumerate(chosen) if each is transform]
        bank = KNNBank(transform(data.train), data.train_labels, num_classes=data.num_classes)
        most = max(presets[place][0] for place in places)
        similarities, indices = bank.neighbors(transform(data.test), most)
        labels = data.train_labels[indices]
        for place in places:
            k, temperature = presets[place]
            scores[place] = vote(similarities[:, :k], labels[:, :k], temperature, data.num_classes)
    records = []
    for place, (k, temperature) in enumerate(presets):
        parameters: dict[str, float | int | str] = {"k": k, "temperature": temperature}
        if k > len(data.train):
            parameters["k_used"] = len(data.train)
        parameters["transform"] = chosen[place].name
        records += score_records("knn", data, scores[place], parameters)
    return records, scores[0].argmax(dim=1)


def linear_probe_records(
    data: LabelledFeatures, seed: int, told: Told = silent
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """Accuracies of the linear probe on all labels.

    Args:
        data: Features and labels.
        seed: Seeds the splits that choose form and penalty.
        told: Told how far the work is.

    Returns:
        The records, and the predicted class of every test image.
    """
    probe = linear_probe(
        data.train,
        data.train_labels,
        num_classes=data.num_classes,
        seed=seed,
        offered=data.transforms,
        told=told,
    )
    scores = probe.log_probabilities(data.test).exp()
    parameters = {
        "l2": probe.l2,
        "converged": probe.converged,
        "transform": probe.form.name,
    }
    return score_records("linear_probe", data, scores, parameters), scores.argmax(dim=1)


def classifier_records(
    data: LabelledFeatures, classifier: nn.Linear
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """Accuracies of the classifier that the method trained together with its encoder.

    Args:
        data: The encoder's features and the labels.
        classifier: From features to one logit a class, on the CPU.

    Returns:
        The records, and the predicted class of every test image.
    """
    with torch.no_grad():
        logits = classifier(data.test).double()
    # Ranks alone count; a class that can be predicted has a score above 0.
    scores = logits - logits.amin(dim=1, keepdim=True) + 1
    return score_records("classifier", data, scores, {}), scores.argmax(dim=1)


def score_records(
    protocol: Protocol,
    data: LabelledFeatures,
    scores: Float[Tensor, "m classes"],
    parameters: dict[str, Any],
) -> list[Record]:
    """Top-1 and top-5 over all test images, and top-1 of many-, medium- and few-shot classes.

    Args:
        protocol: That gave the scores.
        data: Features and labels.
        scores: Of every class for every test image, above 0 where it is predicted at all.
        parameters: Of the protocol.
    """
    records = [
        Record(
            protocol,
            data.kind,
            metric,
            top_accuracy(scores, data.test_labels, top),
            len(data.test),
            parameters=parameters,
        )
        for metric, top in TOPS
    ]
    right = hits(scores, data.test_labels, 1)
    for group in data.groups:
        value, count = float(right[group.test].double().mean()), int(group.test.sum())
        told = {**parameters, **group.parameters}
        records.append(Record(protocol, data.kind, "top1", value, count, parameters=told))
    return records


def few_label_records(
    data: LabelledFeatures, config: EvaluationConfig, told: Told = silent
) -> list[Record]:
    """Top-1 over draws for every number of labels a class that at least one class has.

    The draws give every class as many labels. So many, medium and few tell here how good the
    features are of classes that the encoder saw often and seldom.

    Args:
        data: Features and labels.
        config: Labels a class, draws, seed.
        told: Told how far the work is.
    """
    largest_class = int(torch.bincount(data.train_labels).max())
    offered = forms(data.train, data.transforms)
    asked = [count for count in config.labels_per_class if count <= largest_class]
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
            seed=config.seed,
            told=to_choose,
        )
        draws = draw_labels(data.train_labels, per_class, config.draws, seed=config.seed)
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
            "draws": config.draws,
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


def notes_on(train_labels: Int64[Tensor, " n"], config: EvaluationConfig) -> list[str]:
    """What the settings ask for and the training examples cannot give.

    Args:
        train_labels: Class of every training image.
        config: What is asked for.
    """
    notes = []
    for k, _ in dict.fromkeys(config.knn) if config.runs("knn") else ():
        if k > len(train_labels):
            notes.append(f"kNN with k={k}: the bank holds {len(train_labels)} examples, all vote")
    counts = torch.bincount(train_labels)
    counts = counts[counts > 0]
    for count in config.labels_per_class if config.runs("few_labels") else ():
        short = int((counts < count).sum())
        if short == len(counts):
            notes.append(f"few labels: no class has {count} training examples, left out")
        elif short:
            notes.append(
                f"few labels: {short} of {len(counts)} classes have fewer than {count} training"
                " examples and give all they have"
            )
    return notes


def notes_on_forms(data: LabelledFeatures) -> list[str]:
    """Which forms the features of one kind are not offered, for what they cost.

    Args:
        data: Features that probes or kNN have judged.
    """
    if not is_too_large_to_whiten(data.train):
        return []
    count, dim = data.train.shape
    return [
        f"{FEATURE_NAMES[data.kind]}: never whitened, for the axes of {dim:,} features of {count:,}"
        " examples take too long to find"
    ]


def notes_after(records: list[Record]) -> list[str]:
    """Which figures a probe gave that had not come to rest, so that a rested one may be higher.

    Args:
        records: All that were measured.
    """
    return [
        f"linear probe of {FEATURE_NAMES[record.features]}: not at rest after {MAX_STEPS}"
        " steps, one at rest may read more or less"
        for record in records
        if record.metric == "top1"
        and "shots" not in record.parameters
        and record.parameters.get("converged") is False
    ]


def accuracy_records(
    data: LabelledFeatures, config: EvaluationConfig, say: Say
) -> tuple[list[Record], dict[Protocol, Int64[Tensor, " m"]]]:
    """Every accuracy of one kind of features.

    Args:
        data: Features and labels.
        config: Which protocols.
        say: Told what is under way.

    Returns:
        The records, and the predicted class of every test image: by the first kNN preset and by the
        linear probe, as far as they are not left out.
    """
    records: list[Record] = []
    predictions: dict[Protocol, Int64[Tensor, " m"]] = {}
    if config.runs("knn"):
        say(f"kNN on {len(data.train)} examples: {data.kind}")
        records, predictions["knn"] = knn_records(data, config.knn, config.seed)
    if config.runs("linear_probe"):
        say(f"linear probe: {data.kind}")
        probed, predictions["linear_probe"] = linear_probe_records(
            data, config.seed, lambda what, done: say(f"linear probe: {data.kind}, {what}", done)
        )
        records += probed
    if config.runs("few_labels"):
        say(f"probes with few labels: {data.kind}")
        records += few_label_records(
            data, config, lambda what, done: say(f"few labels: {data.kind}, {what}", done)
        )
    return records, predictions
