"""Every protocol of evaluation: its settings, what it needs, how its figures are told. No torch."""

from dataclasses import field
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from nearfar.errors import SettingError
from nearfar.evaluation.measures import (
    CentredMeasure,
    Curve,
    FewLabelsMeasure,
    FineTuningMeasure,
    LinearProbeMeasure,
    Measure,
    RetrievalMeasure,
)
from nearfar.evaluation.records import FeatureKind
from nearfar.spec import Count, Named

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
        targets: What it needs of each pixel, depths or masks; left out where a source has none.
        needs_pairs: It judges pairs of two kinds by both encoders; left out where there are none.
        asks_gallery: It has the two sets of a search, where a source has such, and then no need of
            other labels.
        measures: What its records are.
        by_default: Whether it is run unless `evaluation.leave_out` names it; one that takes long is
            run where `evaluation.also` does.
        arrays: What else it gives, by the names in `evaluation.npz`. A protocol that gives
            `shown_predictions` says what is right and wrong in all pictures of single examples.
    """

    name: ClassVar[str] = ""
    judges: ClassVar[tuple[FeatureKind, ...]] = ("encoder",)
    judges_every_embedding: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    targets: ClassVar[Literal["", "depths", "masks"]] = ""
    needs_pairs: ClassVar[bool] = False
    asks_gallery: ClassVar[bool] = False
    by_default: ClassVar[bool] = True
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
        accuracies = any(not measure.explained for measure in cls.measures)
        return cls.needs_labels and "raw" in cls.judges and accuracies

    def with_absolute_paths(self) -> "ProtocolSpec":
        """The same, found from any folder."""
        return self

    def check_run(self) -> None:
        """Refuse settings that it lacks where it is run.

        Raises:
            SettingError: Naming what is to be given.
        """

    def require_files(self) -> None:
        """Refuse files that are not there or that it cannot use, before any work.

        Raises:
            NearfarError: Naming the file and what is wrong.
        """

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


class EffectiveRankSpec(ProtocolSpec):
    """Directions that the features take, or RankMe (Garrido et al. 2023)."""

    target = "nearfar.evaluation.effective_rank:judge"
    name = "effective_rank"
    judges = ("encoder", "embedding", "untrained", "raw")
    measures = (
        CentredMeasure(
            name="effective_rank",
            parameters={"centred": bool},
            explained="directions that the features take, 1 where they have collapsed",
        ),
    )

    examples: Annotated[int, Ge(2)] = 2048
    """Training examples that it is computed from, at most; a rank depends on how many."""


_OF_SOME = {"queries": int, "of": int}
"""Parameters of records where not all ask that could: how many do, and of how many."""


class RetrievalSpec(ProtocolSpec):
    """Examples of the same class among those most alike (Musgrave et al. 2020)."""

    target = "nearfar.evaluation.retrieval:judge"
    name = "retrieval"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    asks_gallery = True
    measures = (
        RetrievalMeasure(
            name="recall",
            parameters={"k": int, "gallery": str},
            optional=_OF_SOME,
            explained="share of queries with one of their class among the k nearest",
        ),
        RetrievalMeasure(
            name="map_at_r",
            words="Mean average precision at R",
            short="MAP@R",
            parameters={"gallery": str},
            optional=_OF_SOME,
            explained="1 where the R nearest are the R others of the class",
        ),
        RetrievalMeasure(
            name="reciprocal_rank",
            words="Mean reciprocal rank",
            short="MRR",
            parameters={"gallery": str},
            optional=_OF_SOME,
            explained="1 where the nearest is of the class, 1/r where the first is the r-th",
        ),
    )

    gallery: Literal["test", "train"] = "test"
    """What is searched: the other test examples, or the training part, which test examples ask.
    Data with a query and a gallery part have both sets, and this decides nothing."""
    ranks: tuple[Count, ...] = (1, 5, 10)
    """Each k of recall@k."""
    queries: Count | Literal["auto", "all"] = "auto"
    """Examples that ask, drawn at random; auto: 2000, and fewer where these would take more than
    about a minute; all: every one. All others are searched none the less."""

    def check(self) -> None:
        """There is a rank."""
        if not self.ranks:
            raise SettingError(f"{self.room}ranks is empty: give at least one, such as 1")


class ClusteringSpec(ProtocolSpec):
    """k-means of the test part's features of length 1, beside the classes."""

    target = "nearfar.evaluation.clustering:judge"
    name = "clustering"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    by_default = False
    measures = (
        Measure(
            name="normalised_mutual_information",
            words="Normalised mutual information",
            short="NMI",
            parameters={"clusters": int},
            explained="of clusters and classes, 1 where they are the same",
        ),
        Measure(
            name="adjusted_rand_index",
            words="Adjusted Rand index",
            short="ARI",
            parameters={"clusters": int},
            explained="of clusters and classes, 0 for chance and 1 where they are the same",
        ),
    )

    clusters: Annotated[int, Ge(2)] | None = None
    """Number of clusters; as many as classes where left out."""
    seeds: Annotated[int, Ge(1), Le(1000)] = 5
    """Starts of k-means; 2 or more give a spread."""
    examples: Annotated[int, Ge(2)] = 10_000
    """Test examples that are clustered, at most."""


_Rate = Annotated[float, Gt(0), Le(1000)]
_Decay = Annotated[float, Ge(0), Le(1000)]


class FineTuningSpec(ProtocolSpec):
    """The encoder trained on with labels, beside the same network from its first weights."""

    target = "nearfar.evaluation.fine_tuning:judge"
    name = "fine_tuning"
    judges = ("encoder", "untrained")
    needs_labels = True
    by_default = False
    measures = (
        FineTuningMeasure(
            name="fine_tuning",
            words="Fine-tuning",
            parameters={"labels": str, "labelled": int, "frozen": str},
            optional={"layer_decay": float, "head_rate": float},
            place=3,
            curve=Curve("labelled", "Fine-tuned: accuracy by number of labels", "labels"),
        ),
    )

    labels: tuple[str, ...] = ("1%", "10%", "100%")
    """Labels to learn from: a share of all, such as 10%, or a number a class, such as 5."""
    draws: Annotated[int, Ge(1), Le(1000)] = 3
    """Random draws of those labels; 2 or more give a spread."""
    freeze: Literal["backbone"] | Annotated[int, Ge(1)] | None = None
    """What is not trained: the backbone, or its first n stages; left out, all is."""
    augment: bool = True
    """Learn from random crops, flips and rotations, the run's; off, from examples as they are."""
    learning_rates: tuple[_Rate, ...] = (0.01, 0.03, 0.1)
    """Highest rates of SGD that are tried on a part of the training data."""
    weight_decays: tuple[_Decay, ...] = (1e-4,)
    """Decays of weights that are tried there with the best rate."""
    layer_decay: Annotated[float, Gt(0), Le(1)] = field(default=1.0, kw_only=True)
    """Rate of each of the encoder's layers, in those of the layer above it."""
    head_rate: _Rate = field(default=1.0, kw_only=True)
    """Rate of the classifier, in learning rates."""
    epochs: Count = 30
    """Passes over the labelled examples."""
    least_steps: Count = 100
    """Steps at least, where these passes have fewer."""
    batch_size: Annotated[int, Ge(2)] = 64
    """Labelled examples in a step."""

    def check(self) -> None:
        """There is something to learn from and to try."""
        for name in ("labels", "learning_rates", "weight_decays"):
            if not getattr(self, name):
                raise SettingError(f"{self.room}{name} is empty: give at least one")
        for asked in self.labels:
            of_labels(asked)
        if self.freeze == "backbone" and self.layer_decay != 1:
            raise SettingError(
                f"{self.room}layer_decay is {self.layer_decay:g}: with the backbone frozen it "
                "would change nothing: leave one of the two out"
            )


class SGDProbeSpec(ProtocolSpec):
    """A linear classifier by SGD on views, through the frozen encoder, as papers have it."""

    target = "nearfar.evaluation.sgd_probe:judge"
    name = "sgd_probe"
    judges = ("encoder", "untrained")
    needs_labels = True
    by_default = False
    measures = (
        Measure(
            name="sgd_probe",
            words="Linear probe by SGD, augmented",
            short="linear probe by SGD",
            heading="all labels, linear probe by SGD on augmented images",
            judge="a linear probe by SGD on augmented images",
        ),
    )

    epochs: Count = 30
    """Passes over the training part; papers take 90 or 100."""
    batch_size: Annotated[int, Ge(2)] = 256
    """Examples in a step."""
    learning_rates: tuple[_Rate, ...] = (0.1, 1.0, 10.0)
    """Rates, for a batch of 256, that are tried on a part of the training data."""
    weight_decay: _Decay = 0.0
    """Decay of the weights."""
    augment: bool = True
    """Learn from random crops, flips and rotations, the run's; off, from examples as they are."""

    def check(self) -> None:
        """There is a rate."""
        if not self.learning_rates:
            raise SettingError(f"{self.room}learning_rates is empty: give at least one")


def of_labels(asked: str) -> tuple[float | None, int | None]:
    """A share of all labels, 0 to 1, or a number of labels a class.

    Args:
        asked: Such as "10%" or "5".

    Raises:
        SettingError: It is neither.
    """
    number = asked.removesuffix("%").strip()
    try:
        if asked.strip().endswith("%"):
            share = float(number) / 100
            if 0 < share <= 1:
                return share, None
        elif int(number) > 0:
            return None, int(number)
    except ValueError:
        pass
    raise SettingError(
        f"evaluation.fine_tuning.labels has {asked!r}: give a share of all labels, above 0% up to "
        "100%, or a number a class, such as 5"
    )


# At the end: they are specs of this kind, and told after those of any examples.
import_module("nearfar.evaluation.dense_specs")
import_module("nearfar.evaluation.text_specs")
import_module("nearfar.evaluation.pair_specs")
