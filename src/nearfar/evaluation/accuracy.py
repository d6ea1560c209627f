"""The protocols that give accuracies, on features that are given."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.evaluation.config import EvaluationConfig
from nearfar.evaluation.few_labels import FEW_LABELS_L2, draw_labels, few_label_accuracies
from nearfar.evaluation.knn import KNNBank, top_accuracy, vote
from nearfar.evaluation.linear_probe import MAX_ITERATIONS, linear_probe
from nearfar.evaluation.records import FeatureKind, Metric, Record, over_draws

FEATURE_NAMES: dict[FeatureKind, str] = {
    "encoder": "the encoder",
    "untrained": "the untrained encoder",
    "raw": "raw pixels",
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
    """

    kind: FeatureKind
    train: Float[Tensor, "n dim"]
    train_labels: Int64[Tensor, " n"]
    test: Float[Tensor, "m dim"]
    test_labels: Int64[Tensor, " m"]
    num_classes: int


def knn_records(
    data: LabelledFeatures, presets: tuple[tuple[int, float], ...]
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """KNN top-1 and top-5 for every preset, from one search for the most neighbours.

    Args:
        data: Features and labels.
        presets: k and temperature of each vote.

    Returns:
        The records, and the first preset's predicted class of every test image.
    """
    bank = KNNBank(data.train, data.train_labels, num_classes=data.num_classes)
    similarities, indices = bank.neighbors(data.test, max(k for k, _ in presets))
    labels = data.train_labels[indices]
    records, predictions = [], None
    for k, temperature in presets:
        scores = vote(similarities[:, :k], labels[:, :k], temperature, data.num_classes)
        predictions = scores.argmax(dim=1) if predictions is None else predictions
        parameters: dict[str, float | int] = {"k": k, "temperature": temperature}
        if k > len(bank):
            parameters["k_used"] = len(bank)
        for metric, top in TOPS:
            value = top_accuracy(scores, data.test_labels, top)
            records.append(
                Record("knn", data.kind, metric, value, len(data.test), parameters=parameters)
            )
    assert predictions is not None
    return records, predictions


def linear_probe_records(data: LabelledFeatures, seed: int) -> list[Record]:
    """Top-1 and top-5 of the linear probe on all labels.

    Args:
        data: Features and labels.
        seed: Seeds the split that chooses the penalty.
    """
    probe = linear_probe(data.train, data.train_labels, num_classes=data.num_classes, seed=seed)
    scores = probe.log_probabilities(data.test).exp()
    parameters = {"l2": probe.l2, "converged": probe.converged}
    return [
        Record(
            "linear_probe",
            data.kind,
            metric,
            top_accuracy(scores, data.test_labels, top),
            len(data.test),
            parameters=parameters,
        )
        for metric, top in TOPS
    ]


def few_label_records(data: LabelledFeatures, config: EvaluationConfig) -> list[Record]:
    """Top-1 over draws for every number of labels a class that at least one class has.

    Args:
        data: Features and labels.
        config: Labels a class, draws, seed.
    """
    largest_class = int(torch.bincount(data.train_labels).max())
    records = []
    for per_class in config.labels_per_class:
        if per_class > largest_class:
            continue
        draws = draw_labels(data.train_labels, per_class, config.draws, seed=config.seed)
        values = few_label_accuracies(
            data.train,
            data.train_labels,
            data.test,
            data.test_labels,
            draws,
            num_classes=data.num_classes,
        )
        mean, sd = over_draws(values)
        parameters = {
            "labels_per_class": per_class,
            "draws": config.draws,
            "l2": FEW_LABELS_L2,
            "values": values,
        }
        records.append(
            Record("few_labels", data.kind, "top1", mean, len(data.test), sd, parameters)
        )
    return records


def notes_on(train_labels: Int64[Tensor, " n"], config: EvaluationConfig) -> list[str]:
    """What the settings ask for and the training images cannot give.

    Args:
        train_labels: Class of every training image.
        config: What is asked for.
    """
    notes = []
    for k, _ in dict.fromkeys(config.knn):
        if k > len(train_labels):
            notes.append(f"kNN with k={k}: the bank holds {len(train_labels)} images, all vote")
    counts = torch.bincount(train_labels)
    counts = counts[counts > 0]
    for count in config.labels_per_class:
        short = int((counts < count).sum())
        if short == len(counts):
            notes.append(f"few labels: no class has {count} training images, left out")
        elif short:
            notes.append(
                f"few labels: {short} of {len(counts)} classes have fewer than {count} training"
                " images and give all they have"
            )
    return notes


def notes_after(records: list[Record]) -> list[str]:
    """Which figures a probe gave that had not come to rest, so that a rested one may be higher.

    Args:
        records: All that were measured.
    """
    return [
        f"linear probe of {FEATURE_NAMES[record.features]}: not at rest after {MAX_ITERATIONS}"
        " steps, its accuracy may be a little off"
        for record in records
        if record.metric == "top1" and record.parameters.get("converged") is False
    ]


def accuracy_records(
    data: LabelledFeatures, config: EvaluationConfig, say: Callable[[str], None]
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """Every accuracy of one kind of features.

    Args:
        data: Features and labels.
        config: Which protocols.
        say: Told what is under way.

    Returns:
        The records, and the first kNN preset's predicted class of every test image.
    """
    say(f"kNN on {len(data.train)} images: {data.kind}")
    records, predictions = knn_records(data, config.knn)
    say(f"linear probe: {data.kind}")
    records += linear_probe_records(data, config.seed)
    say(f"probes with few labels: {data.kind}")
    records += few_label_records(data, config)
    return records, predictions
