"""What every method says of itself, and what it needs of data, views and encoder. No torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.head_specs import (
    HeadName,
    HeadSpec,
    IdentityHeadSpec,
    LinearHeadSpec,
    MLPHeadSpec,
)
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError
from nearfar.modality import Modality
from nearfar.spec import Choice
from nearfar.table_features import TableFeature

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nearfar.methods.method import Method
    from nearfar.views.specs import ViewsSpec

SECOND_ENCODER, SECOND_VIEWS = "method.second_encoder.", "method.second_views."
SECOND_ADAPT = "method.second_adapt."
"""Where the settings of what is paired with the examples stand."""


@dataclass(frozen=True)
class SecondSide:
    """What a method of pairs has for what is paired with the examples.

    Attributes:
        encoder: Its backbone.
        views: Its views.
        adapt: What of the backbone stays as it is, and whose head begins.
    """

    encoder: EncoderSpec
    views: "ViewsSpec"
    adapt: AdaptSpec


@runtime_checkable
class ViewFormat(Protocol):
    """What views are, and how they were normalised; a run's `Format` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one view."""
        ...

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel or feature; of images in 0..1 units."""
        ...

    @property
    def std(self) -> tuple[float, ...]:
        """Of each, likewise."""
        ...

    @property
    def columns(self) -> tuple[TableFeature, ...] | None:
        """What each feature of vectors is of a table; None where that is not known."""
        ...


class MethodSpec(
    Choice,
    noun="method",
    modules=(
        "nearfar.methods.unlabelled_specs",
        "nearfar.methods.labelled_specs",
        "nearfar.methods.cpc_spec",
        "nearfar.methods.distill_spec",
        "nearfar.methods.clip_spec",
    ),
):
    """Settings of a method, and what it needs of data, views and encoder.

    Attributes:
        title: Its name as its authors write it.
        summary: What it does, in one line.
        source: Authors and year.
        needs_labels: It learns from labels and refuses data without.
        needs_class_counts: What it builds depends on how many examples each class has.
        needs_view_format: What it builds depends on how views are normalised.
        least_views: Views of each example that it needs.
        most_views: Views of each example that it takes; None for any number.
        needs_steps: It asks for a vector for each step, which few encoders give.
        must_be_told: Options without which it cannot begin, as a command shows them.
        without_head: Of a method without a head: what its loss reads in place of embeddings.
        name: Which method; `nearfar methods` lists them.
    """

    room: ClassVar[str] = "method."
    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    needs_class_counts: ClassVar[bool] = False
    needs_view_format: ClassVar[bool] = False
    least_views: ClassVar[int] = 2
    most_views: ClassVar[int | None] = None
    needs_steps: ClassVar[bool] = False
    must_be_told: ClassVar[str] = ""
    without_head: ClassVar[str] = "its loss compares no embeddings"

    @property
    def projection(self) -> HeadSpec | None:
        """The head whose output the loss compares: the embedding; None where there is none."""
        return None

    @property
    def second_side(self) -> SecondSide | None:
        """What there is for what is paired with the examples; None where one kind is learnt."""
        return None

    @property
    def reads_labels(self) -> bool:
        """Whether labels change what is learnt."""
        return self.needs_labels

    def with_absolute_paths(self) -> "MethodSpec":
        """The same, found from any folder."""
        return self

    def begun_with(self, second_encoder: str) -> "MethodSpec":  # noqa: ARG002  most have none
        """The same, a second encoder and its head begun as those of a run.

        Args:
            second_encoder: The start: a file of the run's second encoder.
        """
        return self

    def build(
        self,
        encoder: "nn.Module",
        *,
        class_counts: "Tensor | None" = None,
        views: ViewFormat | None = None,
        second_encoder: "nn.Module | None" = None,
    ) -> "Method":
        """The method around an encoder.

        Args:
            encoder: A module with `num_features`.
            class_counts: `(classes,)`, examples of each class in what is learnt from; None without
                labels.
            views: What it is given; None where that is not known.
            second_encoder: Of what is paired with the examples, where the method learns
                from both kinds; a copy of `encoder` where left out.

        Raises:
            SettingError: The method learns from labels, and there are none, or of one class alone;
                or it does not work with this encoder.
        """
        if self.needs_labels:
            self._require_classes(class_counts)
        if self.needs_class_counts:
            return super().build(encoder, class_counts)
        if self.needs_view_format:
            return super().build(encoder, views)
        if self.second_side is not None:
            return super().build(encoder, second_encoder)
        return super().build(encoder)

    def chance_loss(self, batch_size: int) -> float | None:  # noqa: ARG002  most have none
        """The loss where all embeddings are equal, in nats; None where that is no guessing."""
        return None

    def require_views(self, count: int) -> None:
        """Refuse fewer or more views than the method compares."""
        if count < self.least_views:
            raise SettingError(
                f"views.count is {count}: {self.title} compares views of each example, "
                f"{self.least_views} or more"
            )
        if self.most_views is not None and count > self.most_views:
            views = "1 view" if self.most_views == 1 else f"{self.most_views} views"
            raise SettingError(
                f"views.count is {count}: {self.title} compares {views} of each image: set it to "
                f"{self.most_views}"
            )

    def require_kinds(self, second: Modality | None, source: str) -> None:
        """Refuse pairs of two kinds where one is learnt from, and examples of one where two are.

        Args:
            second: What the examples are paired with; None: with nothing.
            source: Name of the data.
        """
        if second is not None:
            raise SettingError(
                f"{source} pairs its examples with {second}, and {self.title} learns from one "
                "kind: choose --method clip, or a source of the examples alone"
            )

    def require_encoder(self, encoder: EncoderSpec) -> None:
        """Refuse an encoder that does not give what the method asks for."""
        if self.needs_steps and not encoder.gives_steps:
            known = EncoderSpec.known().items()
            giving = [f"{name} ({each.takes})" for name, each in known if each.gives_steps]
            raise SettingError(
                f"{self.title} predicts later steps, and encoder.name {encoder.name} gives none: "
                f"choose {' or '.join(giving)}"
            )

    def require_head(self, asked_by: str) -> None:
        """Refuse to judge embeddings where there are none.

        Args:
            asked_by: The setting and its value.
        """
        if self.projection is None:
            raise SettingError(f"{asked_by}: {self.title} has no head, {self.without_head}")

    def require_labels(self, labelled: bool, source: str) -> None:
        """Refuse data without labels where the method learns from them."""
        if self.needs_labels and not labelled:
            raise SettingError(
                f"{self.title} learns from labels, and the part of {source} to learn from has "
                "none: choose another method, or data with labels"
            )

    def _require_classes(self, class_counts: "Tensor | None") -> None:
        """Refuse data in which there is nothing to tell apart."""
        if class_counts is None:
            raise SettingError(
                f"{self.title} learns from labels, and there are none: choose another method"
            )
        if int((class_counts > 0).sum()) < 2:
            raise SettingError(
                f"{self.title} learns to tell classes apart, and all examples to learn from are of "
                "one class: choose another method, or data with more classes"
            )


def head_named(name: HeadName, mlp: MLPHeadSpec) -> HeadSpec:
    """The head that a method's setting names.

    Args:
        name: Which.
        mlp: The method's own.
    """
    heads = {"identity": IdentityHeadSpec(), "linear": LinearHeadSpec(dim=mlp.dim), "mlp": mlp}
    return heads[name]
