"""What runs scored: accuracies in percent, by experiment and seed."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nearfar.evaluation.records import FeatureKind
from tools.comparison.records import Environment, RunRecord


@dataclass(frozen=True)
class Protocol:
    """How accuracy is measured.

    Attributes:
        title: In a table's head.
        name: Of its scores.
        parameters: Those by which scores of one protocol differ.
    """

    title: str
    name: str
    parameters: tuple[tuple[str, float], ...] = ()


KNN = Protocol("kNN, k=20", "knn", (("k", 20), ("temperature", 0.07)))
FEW_LABELS = Protocol("10 labels a class", "few_labels", (("labels_per_class", 10),))
LINEAR_PROBE = Protocol("all labels, linear probe", "linear_probe")
CLASSIFIER = Protocol("own classifier", "classifier")

THIRDS = ("many", "medium", "few")
"""The largest classes, those between and the smallest: three, four and three of ten."""


@dataclass(frozen=True)
class Scores:
    """All that runs scored.

    Attributes:
        runs: Record of each finished run, by experiment and seed.
    """

    runs: Mapping[str, Mapping[int, RunRecord]]

    def top1(
        self, experiment: str, protocol: Protocol, features: FeatureKind = "encoder"
    ) -> dict[int, float]:
        """Accuracy in percent of each seed; empty where it was not measured."""
        found = {
            seed: _value(run, protocol, features)
            for seed, run in self.runs.get(experiment, {}).items()
        }
        return {seed: 100 * value for seed, value in found.items() if value is not None}

    def judged_by(self, experiment: str) -> Protocol:
        """The protocol of a method's own decision: its classifier, or a probe where it has none."""
        return CLASSIFIER if self.top1(experiment, CLASSIFIER) else LINEAR_PROBE

    def of_third(self, experiment: str, protocol: Protocol, third: str) -> dict[int, float]:
        """Mean accuracy in percent over the classes of one third by size, of each seed."""
        found = {}
        for seed, run in self.runs.get(experiment, {}).items():
            if accuracies := run.class_accuracies.get(protocol.name):
                rows = classes_of_thirds(np.asarray(run.class_counts))[third]
                found[seed] = 100 * float(np.asarray(accuracies)[rows].mean())
        return found

    def class_counts(self, experiment: str) -> list[int]:
        """Training examples of each class in the experiment's first run."""
        return list(next(iter(self.runs[experiment].values())).class_counts)

    def test_images(self, experiment: str) -> int:
        """How many there are."""
        return next(iter(self.runs[experiment].values())).scores[0].n

    def minutes(self, experiment: str) -> float:
        """Median wall time of training, over the seeds."""
        return statistics.median(
            environment.seconds / 60 for environment in self.environments(experiment)
        )

    def environments(self, experiment: str) -> list[Environment]:
        """On what each run was trained."""
        return [run.environment for run in self.runs[experiment].values()]


def classes_of_thirds(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Classes by size, largest first, in three parts; the middle one takes what is left over.

    Bounds of 100 and 20 examples, which long-tailed ImageNet has, would leave no few-shot class
    in a set whose smallest class has 60.
    """
    order, third = np.argsort(-counts, kind="stable"), len(counts) // 3
    parts = order[:third], order[third : len(order) - third], order[len(order) - third :]
    return dict(zip(THIRDS, parts, strict=True))


def _value(run: RunRecord, protocol: Protocol, features: FeatureKind) -> float | None:
    for score in run.scores:
        if (score.protocol, score.features) == (protocol.name, features) and all(
            score.parameters.get(key) == value for key, value in protocol.parameters
        ):
            return score.value
    return None
