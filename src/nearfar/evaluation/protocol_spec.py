"""What every protocol says of itself: what it judges, needs and gives. Imports no torch."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nearfar.evaluation.measures import Measure
from nearfar.evaluation.records import FeatureKind
from nearfar.spec import Named

if TYPE_CHECKING:
    from nearfar.evaluation.judged import Found, Judged


class ProtocolSpec(
    Named,
    noun="protocol",
    modules=(
        "nearfar.evaluation.accuracy_specs",
        "nearfar.evaluation.geometry_specs",
        "nearfar.evaluation.retrieval_specs",
        "nearfar.evaluation.trained_specs",
        "nearfar.evaluation.dense_specs",
        "nearfar.evaluation.text_specs",
        "nearfar.evaluation.pair_specs",
    ),
):
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
