"""Every protocol of evaluation: its settings, what it needs, how its figures are told. No torch."""

import json
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from annotated_types import Ge, Le

from nearfar.bounds import HIGHEST_SEED
from nearfar.errors import SettingError, require_known
from nearfar.evaluation.measures import Curve, FewLabelsMeasure, Measure, UnknownMeasure
from nearfar.evaluation.records import FeatureKind
from nearfar.spec import Count, Named, Nested, Spec, to_json

if TYPE_CHECKING:
    from nearfar.evaluation.judged import Found, Judged

Vote = tuple[int, float]
"""Neighbours k and temperature T."""

_COLDEST, _WARMEST = 0.0001, 10_000  # e to a similarity over them is a number


class ProtocolSpec(Named, noun="protocol"):
    """A protocol: what it measures, on what, and its settings, each of which has a default.

    A subclass has a `name` and a docstring whose first line says what is done; its `target` is
    called with the spec and what is judged.

    Attributes:
        name: In `evaluation.leave_out`, and before its settings.
        judges: Which features it is run on, one kind after the other. The embedding, behind the
            projection head, only where `evaluation.embeddings` asks for it, unless
        judges_every_embedding: It is run on the embedding in any case.
        needs_labels: It is left out, and a note says so, where accuracies cannot be had.
        measures: What its records are.
        arrays: What else it gives, by the names in `evaluation.npz`. A protocol that gives
            `shown_predictions` says what is right and wrong in all pictures of single examples.
    """

    name: ClassVar[str] = ""
    judges: ClassVar[tuple[FeatureKind, ...]] = ("encoder",)
    judges_every_embedding: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    measures: ClassVar[tuple[Measure, ...]] = ()
    arrays: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        cls.room = f"evaluation.{cls.__dict__.get('name', '')}."
        super().__init_subclass__(**arguments)

    @classmethod
    def summary(cls) -> str:
        """What it does, in one line."""
        return (cls.__doc__ or "").partition("\n")[0]

    @classmethod
    def short(cls) -> str:
        """What sentences call it."""
        return cls.measures[0].short if len(cls.measures) == 1 else cls.name.replace("_", " ")

    @classmethod
    def judges_baselines(cls) -> bool:
        """Whether it gives accuracies of any features, so also of the data as they are."""
        return cls.needs_labels and "raw" in cls.judges

    def run(self, judged: "Judged") -> "Found":
        """Judge one kind of features.

        Args:
            judged: The features and all that belongs to them, computed when it is asked for.
        """
        return self.build(judged)


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
        Measure(
            name="linear_probe",
            words="Linear probe, all labels",
            short="linear probe",
            heading="all labels, linear probe",
            judge="a linear probe",
            place=0,
            rank=inf,  # spoken of where no few labels are
        ),
    )


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


class GeometrySpec(ProtocolSpec):
    """Alignment, uniformity and distances of views on the sphere (Wang & Isola 2020)."""

    target = "nearfar.evaluation.geometry:judge"
    name = "geometry"
    judges = ("encoder", "embedding", "untrained")
    judges_every_embedding = True
    measures = (
        Measure(
            name="alignment",
            parameters={"alpha": float},
            explained="mean squared distance of two views of one {one}, lower is nearer",
        ),
        Measure(
            name="uniformity",
            parameters={"t": float},
            explained="lower is more evenly spread over the sphere",
        ),
    )
    arrays = (
        "positive_distances",
        "random_distances",
        "embedding_positive_distances",
        "embedding_random_distances",
        "untrained_positive_distances",
        "untrained_random_distances",
    )


class MapSpec(ProtocolSpec):
    """A map of the features in two dimensions, by t-SNE (van der Maaten & Hinton 2008)."""

    target = "nearfar.evaluation.embedding_map:judge"
    name = "map"
    judges = ("encoder", "embedding")
    arrays = ("shown_map", "embedding_shown_map")


class GallerySpec(ProtocolSpec):
    """Some examples beside the training examples that the encoder finds nearest."""

    target = "nearfar.evaluation.gallery:judge"
    name = "gallery"
    judges = ("encoder", "embedding")
    arrays = (
        "neighbor_indices",
        "neighbor_similarities",
        "neighbor_labels",
        "gallery_queries",
        "gallery_bank_indices",
        "gallery_images",
        "embedding_neighbor_indices",
        "embedding_neighbor_similarities",
        "embedding_neighbor_labels",
        "embedding_gallery_queries",
        "embedding_gallery_bank_indices",
        "embedding_gallery_images",
    )


AnyProtocol = TypeVar("AnyProtocol", bound=ProtocolSpec)


class EvaluationSpec(Spec):
    """By which protocols an encoder is judged, and their settings."""

    room: ClassVar[str] = "evaluation."

    baselines: bool = True
    """Judge raw data and the untrained encoder beside the trained one."""
    embeddings: bool = False
    """Judge the embedding, which the projection head makes of the features, by every protocol."""
    seed: Annotated[int, Ge(0), Le(HIGHEST_SEED)] = 0
    """Seed of the draws and of the probes."""
    leave_out: tuple[str, ...] = ()
    """Protocols that are not run; `nearfar protocols` lists them."""

    def __new__(cls, *given: Any, **named: Any) -> "EvaluationSpec":  # noqa: ARG004  __init__ does
        """An instance of a subclass with a field for each protocol that has settings.

        So the settings of protocols that plug-ins add stand beside those of ours.
        """
        return object.__new__(_with_protocols() if cls is EvaluationSpec else cls)

    def __reduce__(self) -> tuple[Any, ...]:
        """Its settings, for ranks that are sent it: the subclass has no place to be found at."""
        return _made, ({each.name: getattr(self, each.name) for each in fields(self)},)

    @classmethod
    def by(
        cls,
        *protocols: ProtocolSpec,
        baselines: bool = True,
        embeddings: bool = False,
        seed: int = 0,
        leave_out: tuple[str, ...] = (),
    ) -> "EvaluationSpec":
        """An evaluation by protocols with these settings, and by all others with their own.

        Args:
            protocols: Those that have other settings than by default.
            baselines: Whether baselines are judged.
            embeddings: Whether the embedding is judged by every protocol.
            seed: Of the draws and of the probes.
            leave_out: Names of protocols.
        """
        settings: dict[str, Any] = {each.name: each for each in protocols}
        return cls(
            baselines=baselines,
            embeddings=embeddings,
            seed=seed,
            leave_out=leave_out,
            **settings,
        )

    def check(self) -> None:
        """What is left out is known."""
        require_known("protocol in evaluation.leave_out", self.leave_out, ProtocolSpec.known())

    def of(self, protocol: type[AnyProtocol]) -> AnyProtocol:
        """The settings of a protocol."""
        return getattr(self, protocol.name, None) or protocol()

    def chosen(self) -> list[ProtocolSpec]:
        """Every protocol that is not left out, in the order in which they run."""
        known = ProtocolSpec.known()
        return [self.of(protocol) for name, protocol in known.items() if name not in self.leave_out]

    def by_kind(self, kind: FeatureKind) -> list[ProtocolSpec]:
        """The protocols that judge such features, in the order in which they run."""
        return [
            each
            for each in self.chosen()
            if kind in each.judges
            and (kind != "embedding" or self.embeddings or each.judges_every_embedding)
        ]

    def as_text(self) -> str:
        """All settings as JSON: an evaluation keeps them beside its figures."""
        return json.dumps(to_json(self))


def _made(settings: dict[str, Any]) -> EvaluationSpec:
    return EvaluationSpec(**settings)


def _with_protocols() -> type[EvaluationSpec]:
    """The settings of an evaluation by all protocols that are known now."""
    return _with_fields(tuple(spec for spec in ProtocolSpec.known().values() if fields(spec)))


@cache
def _with_fields(protocols: tuple[type[ProtocolSpec], ...]) -> type[EvaluationSpec]:
    """`EvaluationSpec` with a field for each of these."""
    body: dict[str, Any] = {each.name: each() for each in protocols}
    body["__annotations__"] = {each.name: Nested[each] for each in protocols}
    about = {"__doc__": EvaluationSpec.__doc__, "__module__": __name__}
    return type(EvaluationSpec.__name__, (EvaluationSpec,), body | about)


def measures() -> dict[str, Measure]:
    """What records may be of, by their `protocol`."""
    known = ProtocolSpec.known().values()
    return {measure.name: measure for protocol in known for measure in protocol.measures}


def measure_of(record_protocol: str) -> Measure:
    """What the records of a name are; of a protocol that is not installed, by its name alone."""
    return measures().get(record_protocol) or UnknownMeasure(name=record_protocol)


def giver_of(array: str) -> type[ProtocolSpec]:
    """The protocol that gives an array of `evaluation.npz`."""
    return next(each for each in ProtocolSpec.known().values() if array in each.arrays)


def in_order(protocols: Iterable[str]) -> list[str]:
    """Names of protocols in the order in which they run; those that are not installed last."""
    known = list(ProtocolSpec.known())
    return sorted(protocols, key=lambda name: known.index(name) if name in known else len(known))


def short_name(protocol: str) -> str:
    """What sentences call a protocol, which need not be installed."""
    known = ProtocolSpec.known()
    return known[protocol].short() if protocol in known else protocol.replace("_", " ")
