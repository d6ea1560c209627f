"""Protocols of pairs of two kinds, judged in the space that both encoders share. No torch."""

from typing import ClassVar

from nearfar.errors import SettingError
from nearfar.evaluation.measures import Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.records import FeatureKind
from nearfar.spec import Count


class PairProtocolSpec(ProtocolSpec):
    """What protocols of pairs share: they judge the trained encoders and the untrained ones."""

    judges: ClassVar[tuple[FeatureKind, ...]] = ("encoder", "untrained")
    needs_pairs: ClassVar[bool] = True


class PairRetrievalSpec(PairProtocolSpec):
    """Of each test example its partner among all, by cosine, and of each partner the example."""

    target = "nearfar.evaluation.pairs:judge_retrieval"
    name = "pair_retrieval"
    measures = (
        Measure(
            name="pair_recall",
            words="Retrieval across kinds, recall",
            short="recall across kinds",
            parameters={"k": int, "asks": str},
            explained="share of queries whose own partner is among the k nearest",
            better="higher",
        ),
        Measure(
            name="pair_median_rank",
            words="Retrieval across kinds, median rank",
            short="median rank across kinds",
            parameters={"asks": str},
            explained="place of the nearest own partner, 1 at best",
            better="lower",
        ),
    )

    arrays = ("pair_images", "pair_texts", "pair_found", "pair_found_right")

    ranks: tuple[Count, ...] = (1, 5, 10)
    """Each k of recall@k."""

    def check(self) -> None:
        """There is a rank."""
        if not self.ranks:
            raise SettingError(f"{self.room}ranks is empty: give at least one, such as 1")


class ZeroShotSpec(PairProtocolSpec):
    """The class whose name, in sentences, lies nearest to each example (Radford et al. 2021)."""

    target = "nearfar.evaluation.pairs:judge_zero_shot"
    name = "zero_shot"
    needs_labels = True
    measures = (
        Measure(
            name="zero_shot",
            words="Zero-shot, by names of classes",
            short="zero-shot",
            heading="zero-shot",
            judge="zero-shot classification by the names of the classes",
        ),
    )

    templates: tuple[str, ...] = ("{}", "a picture of {}")
    """Sentences in which {} stands for a class's name; of a class the mean of all is taken."""

    def check(self) -> None:
        """There is a sentence, and each has a place for the name."""
        if not self.templates:
            raise SettingError(f'{self.room}templates is empty: give at least one, such as "{{}}"')
        for template in self.templates:
            if template.count("{}") != 1:
                raise SettingError(
                    f"{self.room}templates has {template!r}: each has one {{}}, which stands for "
                    "the name of the class"
                )


class AcrossKindsSpec(PairProtocolSpec):
    """Alignment of pairs, and the gap between the two kinds (Liang et al. 2022)."""

    target = "nearfar.evaluation.pairs:judge_across"
    name = "across_kinds"
    measures = (
        Measure(
            name="pair_alignment",
            words="Alignment across kinds",
            explained="mean squared distance of the two of a pair, lower is nearer",
        ),
        Measure(
            name="modality_gap",
            words="Modality gap",
            explained="distance of the mean directions of the two kinds, 0 to 2",
        ),
    )
