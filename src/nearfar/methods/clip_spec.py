"""CLIP's settings, and those of the objectives that it may compare pairs by. Imports no torch."""

from dataclasses import field, replace
from math import log
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.head_specs import HeadName, HeadSpec, HeadWidth, MLPHeadSpec
from nearfar.encoders.specs import EncoderSpec
from nearfar.encoders.text_specs import TextTransformerSpec
from nearfar.errors import SettingError, told_at
from nearfar.methods.method_spec import (
    SECOND_ADAPT,
    SECOND_ENCODER,
    MethodSpec,
    SecondSide,
    head_named,
)
from nearfar.methods.objective_specs import Temperature
from nearfar.modality import ForExamples, Modality
from nearfar.spec import Choice, Nested, Share
from nearfar.views.specs import SimCSEViewsSpec, ViewsSpec


class PairObjectiveSpec(Choice, noun="objective of pairs"):
    """An objective over pairs of two kinds, with a scale that is learnt."""

    room: ClassVar[str] = "method.objective."
    temperature: Temperature = 0.07
    """Divides cosine similarities at the beginning; its inverse, the scale, is learnt."""
    learned: bool = True
    """Learn the scale, and the bias where there is one; off, they stay as they begin."""

    @property
    def least(self) -> float | None:
        """Temperature below which learning does not go; None: any."""
        return None

    @property
    def first_bias(self) -> float | None:
        """What is added to similarities at the beginning; None: nothing ever is."""
        return None


class ClipObjectiveSpec(PairObjectiveSpec):
    """Cross-entropy over the batch in both directions (Radford et al. 2021)."""

    name: Literal["clip"] = "clip"
    least_temperature: Temperature = 0.01
    """Learning goes no lower: the scale stays at 100 or below, as its authors have it."""

    def check(self) -> None:
        """It begins where it may be."""
        if self.temperature < self.least_temperature:
            raise SettingError(
                f"method.objective.temperature is {self.temperature:g}, and least_temperature "
                f"{self.least_temperature:g}: begin at or above it"
            )

    @property
    def least(self) -> float:
        """`least_temperature`."""
        return self.least_temperature


class SigmoidObjectiveSpec(PairObjectiveSpec):
    """Each pair of the batch a question of its own (SigLIP; Zhai et al. 2023)."""

    name: Literal["sigmoid"] = "sigmoid"
    temperature: Temperature = 0.1
    """Divides cosine similarities at the beginning; its inverse, the scale, is learnt."""
    bias: Annotated[float, Ge(-1000), Le(1000)] = -10.0
    """Added to similarities at the beginning: most pairs of a batch do not belong together."""

    @property
    def first_bias(self) -> float:
        """`bias`."""
        return self.bias


class CLIPSpec(MethodSpec):
    """CLIP (Radford et al. 2021): an image near its text, far from all other texts, and so back."""

    target = "nearfar.methods.clip_queue:build_clip"
    title = "CLIP"
    summary = "an image near its text, by two encoders"
    source = "Radford et al. 2021, Zhai et al. 2023"
    least_views, most_views = 1, 1
    name: Literal["clip"] = "clip"
    objective: Nested[PairObjectiveSpec] = ClipObjectiveSpec()
    """clip, or sigmoid (SigLIP's)."""
    head: HeadName = "linear"
    """From the first encoder's features to the common space; identity: these are compared."""
    second_head: HeadName = "linear"
    """The same of the second encoder."""
    projection_hidden: HeadWidth = 512
    """Width of an mlp head's hidden layer."""
    projection_dim: HeadWidth = 128
    """Width of the common space; an identity head decides it instead."""
    second_encoder: Nested[EncoderSpec] = TextTransformerSpec()
    """Backbone of what is paired with the examples; text-bag is the quickest for texts."""
    second_adapt: Nested[AdaptSpec] = field(default=AdaptSpec(), kw_only=True)
    """What of the second encoder stays as it is: the settings of adapt."""
    second_views: Nested[ViewsSpec] = SimCSEViewsSpec(count=1)
    """Views of what is paired with them; simcse leaves texts as they are."""
    queue_size: Annotated[int, Ge(0)] = 0
    """Pairs of earlier steps that are negatives too, by what slow copies of both encoders made of
    them; 0: the batch alone."""
    momentum: Share | None = None
    """With a queue: share of their weights that the slow copies keep at each step; left out,
    0.995."""

    def check(self) -> None:
        """One view is compared with one, a queue is of `clip`, and a head goes on with its run."""
        self._check_queue()
        if self.second_adapt.head == "start" and self.second_encoder.start is None:
            raise SettingError(
                f"{SECOND_ADAPT}head is start, and {SECOND_ENCODER}start names none: name a run "
                f"by {SECOND_ENCODER}start, or set {SECOND_ADAPT}head to fresh"
            )
        if self.second_views.count != 1:
            raise SettingError(
                f"method.second_views.count is {self.second_views.count}: CLIP compares one view "
                "of each: set it to 1"
            )

    def _check_queue(self) -> None:
        if self.queue_size and not isinstance(self.objective, ClipObjectiveSpec):
            raise SettingError(
                f"method.queue_size is {self.queue_size}: {self.objective.name} asks of the pairs "
                "of a batch alone: leave it out, or set method.objective to clip"
            )
        if self.momentum is not None and not self.queue_size:
            raise SettingError(
                f"method.momentum is {self.momentum:g}: it is of the slow encoders that fill a "
                "queue: set method.queue_size above 0, or leave it out"
            )

    @property
    def second_side(self) -> SecondSide:
        """`second_encoder`, `second_views` and `second_adapt`."""
        return SecondSide(self.second_encoder, self.second_views, self.second_adapt)

    def with_absolute_paths(self) -> "CLIPSpec":
        """The same, the second encoder's start found from any folder."""
        with told_at(EncoderSpec.room, SECOND_ENCODER):
            return replace(self, second_encoder=self.second_encoder.with_absolute_start())

    def begun_with(self, second_encoder: str) -> "CLIPSpec":
        """The same, the second encoder and its head begun as those of a run."""
        return replace(
            self,
            second_encoder=replace(self.second_encoder, start=second_encoder),
            second_adapt=replace(self.second_adapt, head="start"),
        )

    @property
    def projection(self) -> HeadSpec:
        """The first encoder's head."""
        return self.head_of(self.head, self.projection_dim)

    def heads(self, width: int, second_width: int) -> tuple[HeadSpec, HeadSpec]:
        """Both heads, whose embeddings are of one width.

        Args:
            width: Of the first encoder's features.
            second_width: Of the second encoder's.

        Raises:
            SettingError: Both are identity, and the features are of two widths.
        """
        dim = self.projection_dim
        if self.head == "identity":
            dim = width
        elif self.second_head == "identity":
            dim = second_width
        if self.head == self.second_head == "identity" and width != second_width:
            raise SettingError(
                f"method.head and method.second_head are identity, and the encoders give {width} "
                f"and {second_width} features: set one of them to linear"
            )
        return self.head_of(self.head, dim), self.head_of(self.second_head, dim)

    def head_of(self, name: HeadName, dim: int) -> HeadSpec:
        """A head of this name into a space of so many dimensions."""
        return head_named(name, MLPHeadSpec(hidden=self.projection_hidden, dim=dim))

    def chance_loss(self, batch_size: int) -> float | None:
        """Of clip the logarithm of the batch; with a queue it changes while that fills."""
        alone = isinstance(self.objective, ClipObjectiveSpec) and not self.queue_size
        return log(batch_size) if alone else None

    def require_kinds(self, second: Modality | None, source: str) -> None:
        """Refuse data of one kind alone, and what the second views and encoder do not take."""
        if second is None:
            raise SettingError(
                f"{self.title} learns from pairs of two kinds, and {source} gives one: choose a "
                "source of pairs, such as --data captioned-folder, captioned-table or "
                "image-pairs-npz, or another method"
            )
        chosen: tuple[ForExamples, ForExamples] = self.second_encoder, self.second_views
        for setting, each in zip(("second_encoder", "second_views"), chosen, strict=True):
            if each.takes != second:
                raise SettingError(
                    f"method.{setting} {each.name} is for {each.takes}, and {source} pairs its "
                    f"examples with {second}: choose {', '.join(each.fitting(second))}"
                )
