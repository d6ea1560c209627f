"""Distillation's settings: which teacher, and by what a student is compared. Imports no torch."""

from dataclasses import field, replace
from typing import Literal

from nearfar.encoders.head_specs import HeadName, HeadSpec, HeadWidth, MLPHeadSpec
from nearfar.encoders.specs import (
    PRETRAINED,
    RANDOM,
    TIMM_PREFIX,
    EncoderSpec,
    gets_pretrained,
    refuse_elsewhere,
)
from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec, head_named
from nearfar.methods.objective_specs import Temperature
from nearfar.paths import user_path
from nearfar.spec import Count, PathOrName


class DistillSpec(MethodSpec):
    """Distillation: a student finds alike what a frozen teacher does (SEED, Fang et al. 2021)."""

    target = "nearfar.methods.distill:Distill"
    title = "Distillation"
    summary = "find alike what a frozen teacher finds alike; any backbone to any other"
    source = "Fang et al. 2021"
    least_views, needs_view_format = 1, True
    must_be_told = "--method.teacher RUN"
    name: Literal["distill"] = "distill"
    teacher: PathOrName | None = None
    """Folder of a finished run or a model of timm, such as timm/resnet18, which sees the student's
    own views; or an .npy or .npz file of any teacher's features, a row for each training
    example."""
    teacher_weights: str | None = field(default=None, kw_only=True)
    """Of a model of timm: pretrained (timm's own, as without it), pretrained:TAG, a file of
    weights, or random."""
    teacher_output: Literal["features", "embedding"] = "features"
    """What of the teacher is matched: its features, or the embeddings behind its head."""
    objective: Literal["queue", "regression"] = "queue"
    """queue: its similarities to a queue of its rows; regression: its unit rows themselves."""
    temperature: Temperature = 0.2
    """Of queue: divides the student's cosines."""
    teacher_temperature: Temperature = 0.01
    """Of queue: divides the teacher's cosines."""
    queue_size: Count = 4096
    """Of queue: most rows of the teacher that are candidates."""
    head: HeadName = "mlp"
    """From the student's features to the teacher's width; identity where they are as wide."""
    projection_hidden: HeadWidth = 512
    """Width of the mlp head's hidden layer."""

    def check(self) -> None:
        """A teacher is a path or a model of timm, which alone has weights to choose."""
        if self.teacher is not None:
            refuse_elsewhere("method.teacher", self.teacher)
        if self.teacher_is_timms:
            self._check_timms()
        elif self.teacher_weights is not None:
            raise SettingError(
                f"method.teacher_weights is {self.teacher_weights}: it is for a model of timm, "
                "such as method.teacher timm/resnet18: leave it out"
            )
        if self.teacher_is_file and self.teacher_output == "embedding":
            raise SettingError(
                f"method.teacher_output is embedding: {self.teacher} holds features alone: leave "
                "it out"
            )

    def _check_timms(self) -> None:
        """Refuse a model that there is not, and weights from elsewhere."""
        assert self.teacher is not None
        model, _, tag = self.teacher.partition(".")
        if tag:
            raise SettingError(
                f"method.teacher is {self.teacher}: name the model and its weights apart, by "
                f"method.teacher {model} and method.teacher_weights {PRETRAINED}:{tag}"
            )
        EncoderSpec.named(self.teacher)
        if self.teacher_weights is not None:
            refuse_elsewhere("method.teacher_weights", self.teacher_weights)
        if self.teacher_output == "embedding":
            raise SettingError(
                f"method.teacher_output is embedding: {self.teacher} has no projection head: leave "
                "it out"
            )

    @property
    def teacher_is_file(self) -> bool:
        """Whether the teacher is an array of its features."""
        return self.teacher is not None and self.teacher.endswith((".npy", ".npz"))

    @property
    def teacher_is_timms(self) -> bool:
        """Whether the teacher is a model of timm; `./timm/x` is a path."""
        named = self.teacher is not None and self.teacher.startswith(TIMM_PREFIX)
        return named and not self.teacher_is_file

    @property
    def projection(self) -> HeadSpec:
        """Linear, batch-norm, ReLU, linear, or as set; the teacher decides how wide."""
        return head_named(self.head, MLPHeadSpec(hidden=self.projection_hidden))

    def with_absolute_paths(self) -> "DistillSpec":
        """The same, its teacher found from any folder."""
        teacher, weights = self.teacher, self.teacher_weights
        if teacher is not None and not self.teacher_is_timms:
            teacher = str(user_path(teacher).absolute())
        if weights is not None and weights != RANDOM and not gets_pretrained(weights):
            weights = str(user_path(weights).absolute())
        return replace(self, teacher=teacher, teacher_weights=weights)
