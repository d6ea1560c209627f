"""A complete typed run. Imports nothing heavy: the command line reads it for its help."""

from dataclasses import dataclass, field

from nearfar.data.specs import DigitsSpec, SourceSpec
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec
from nearfar.evaluation.specs import EvaluationSpec
from nearfar.methods.specs import MethodSpec, SimCLRSpec
from nearfar.spec import Nested
from nearfar.training.specs import TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec, ViewsSpec


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a run comes out."""

    recipe: str = "custom"
    """Name of the recipe that this run began from."""
    seed: int = 0
    """Seeds the weights, the order of the data and the views."""
    data: Nested[SourceSpec] = field(default_factory=DigitsSpec)
    views: Nested[ViewsSpec] = field(default_factory=SimCLRViewsSpec)
    encoder: Nested[EncoderSpec] = field(default_factory=SmallResNetSpec)
    method: Nested[MethodSpec] = field(default_factory=SimCLRSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    evaluation: Nested[EvaluationSpec] = field(default_factory=EvaluationSpec)
