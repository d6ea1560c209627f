"""A complete typed run. Imports nothing heavy: the command line reads it for its help."""

from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le

from nearfar.bounds import HIGHEST_SEED
from nearfar.data.specs import DigitsSpec, SourceSpec
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.errors import SettingError
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.launch import launched
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.spec import Nested, Spec
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec, ViewsSpec


class Recipe(Spec):
    """Everything that decides how a run comes out, and rooms that fit each other."""

    recipe: str = "custom"
    """Name of the recipe that this run began from."""
    seed: Annotated[int, Ge(0), Le(HIGHEST_SEED)] = 0
    """Seeds the weights, the order of the data and the views."""
    data: Nested[SourceSpec] = field(default_factory=DigitsSpec)
    views: Nested[ViewsSpec] = field(default_factory=SimCLRViewsSpec)
    encoder: Nested[EncoderSpec] = field(default_factory=SmallResNetSpec)
    adapt: Nested[AdaptSpec] = field(default_factory=AdaptSpec, kw_only=True)
    method: Nested[MethodSpec] = field(default_factory=SimCLRSpec)
    training: Nested[TrainingSpec] = field(default_factory=TrainingSpec)
    evaluation: Nested[EvaluationSpec] = field(default_factory=EvaluationSpec)

    @property
    def learns_from_labels(self) -> bool:
        """Whether labels change what is learnt; then examples without one teach nothing."""
        return self.method.reads_labels or bool(self.training.false_positives)

    def check(self) -> None:
        """What one room needs of another; what only the data can tell is refused with them."""
        self.views.require_modality(self.data.modality)
        self.encoder.require_modality(self.data.modality)
        self.method.require_encoder(self.encoder)
        self.method.require_views(self.views.count)
        self._check_second_views()
        if self.adapt.head == "start" and self.encoder.start is None:
            raise SettingError(
                "adapt.head is start, and encoder.start names none: name a run by encoder.start, "
                "or set adapt.head to fresh"
            )
        if self.evaluation.embeddings:
            self.method.require_head("evaluation.embeddings is True")
        if (
            self.training.keep_epoch == "best"
            and not self.data.held_out
            and self.data.learns_from != "unlabelled"
        ):
            raise self.training.no_check("data.held_out is 0")
        self._check_experiments()
        known = self.data.most_to_learn_from()
        if known is not None:
            self.training.require_examples(known, labelled=True)
        self.training.require_ranks(launched().ranks)

    def _check_second_views(self) -> None:
        """Refuse second views that would be the first ones, or that nothing looks at."""
        if self.data.has_partners and self.views.count < 2:
            raise SettingError(
                f"{self.data.name} gives each example another for its second view, and views.count "
                f"is {self.views.count}: set it to 2 or more"
            )
        differ = self.views.draws or self.encoder.draws or self.data.has_partners
        if self.views.count > 1 and not differ:
            raise SettingError(
                f"views.name {self.views.name} leaves examples as they are, and encoder.name "
                f"{self.encoder.name} drops nothing: all views of an example would be one; set "
                "encoder.dropout above 0, or choose other views"
            )

    def _check_experiments(self) -> None:
        """Refuse wrong labels and wrong pairs where they would change nothing."""
        wrong_pairs, wrong_labels = self.training.false_positives, self.data.label_noise
        if wrong_labels and not (self.method.reads_labels or wrong_pairs):
            raise SettingError(
                f"data.label_noise is {wrong_labels:g}: {self.method.title} learns without "
                "labels, so it would change nothing: leave it out, or choose a method that learns "
                "from labels"
            )
        if wrong_pairs and self.views.count < 2:
            raise SettingError(
                f"training.false_positives is {wrong_pairs:g}: they are second views, and "
                "views.count is 1"
            )
