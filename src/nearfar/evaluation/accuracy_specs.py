"""Protocols of classes by frozen features: few labels, kNN, linear probe. Imports no torch."""

from math import inf
from typing import Annotated, Literal

from annotated_types import Ge, Le

from nearfar.errors import SettingError
from nearfar.evaluation.measures import Curve, FewLabelsMeasure, LinearProbeMeasure, Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.spec import Count

Vote = tuple[int, float]
"""Neighbours k and temperature T."""

_COLDEST, _WARMEST = 0.0001, 10_000  # e to a similarity over them is a number


class FewLabelsSpec(ProtocolSpec):
    """Logistic regression on a few labels a class, over several draws of them."""

    target = "nearfar.evaluation.few_labels:judge"
    name = "few_labels"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    measures = (
        FewLabelsMeasure(
            name="few_labels",
            parameters={"labels_per_class": int},
            place=0,
            curve=Curve("labels_per_class", "Accuracy by number of labels", "labels per class"),
        ),
    )

    labels_per_class: tuple[Count, ...] = (1, 5, 10, 50)
    """Labels a class that the probes get."""
    draws: Annotated[int, Ge(1), Le(10_000)] = 5
    """Random draws of those labels; 2 or more give a spread."""

    def check(self) -> None:
        """There is a number of labels."""
        if not self.labels_per_class:
            raise SettingError(
                f"{self.room}labels_per_class is empty: give at least one number, or leave these "
                "probes out by --evaluation.leave-out few_labels"
            )


class KNNSpec(ProtocolSpec):
    """Weighted vote of the nearest neighbours (Wu et al. 2018), and what it mistakes for what."""

    target = "nearfar.evaluation.knn:judge"
    name = "knn"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    measures = (
        Measure(
            name="knn",
            words="kNN",
            short="kNN",
            heading="kNN, k={k}, T={temperature:g}",
            parameters={"k": int, "temperature": float},
            letters={"temperature": "T"},
            place=1,
        ),
    )
    arrays = ("confusion_cells", "shown_predictions")

    votes: tuple[Vote, ...] = ((200, 0.1), (200, 0.5), (20, 0.07))
    """Neighbours k and temperature T of each vote; the first one's answers are shown."""
    form: Literal["best", "as-is"] = "best"
    """Features in the form that serves them best on training data, or as they are, as papers do."""

    def check(self) -> None:
        """There is a vote, and each can be counted."""
        if not self.votes:
            raise SettingError(
                f"{self.room}votes is empty: give at least one pair of k and temperature, or leave "
                "kNN out by --evaluation.leave-out knn"
            )
        for k, temperature in self.votes:
            if k < 1 or not _COLDEST <= temperature <= _WARMEST:
                raise SettingError(
                    f"{self.room}votes has k={k}, temperature={temperature}: k must be 1 or more "
                    f"and the temperature above 0, from {_COLDEST} to {_WARMEST:,}"
                )


class LinearProbeSpec(ProtocolSpec):
    """The same regression on all labels."""

    target = "nearfar.evaluation.linear_probe:judge"
    name = "linear_probe"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    measures = (
        LinearProbeMeasure(
            name="linear_probe",
            words="Linear probe, all labels",
            short="linear probe",
            heading="all labels, linear probe",
            optional={"balanced": bool},
            judge="a linear probe",
            place=0,
            rank=inf,  # spoken of where no few labels are
        ),
    )

    balanced: bool = False
    """Every class weighs the same, however many examples it has: for long tails."""


class ClassifierSpec(ProtocolSpec):
    """The classifier that the method trained together with its encoder, as it stands."""

    target = "nearfar.evaluation.classifier:judge"
    name = "classifier"
    needs_labels = True
    measures = (
        Measure(
            name="classifier",
            words="The method's own classifier",
            short="classifier",
            heading="own classifier",
            judge="the method's own classifier",
        ),
    )
