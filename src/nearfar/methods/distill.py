"""Distillation: a student learns to find alike what a frozen teacher finds alike."""

from dataclasses import replace
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.source import Part
from nearfar.encoders.head_specs import HeadSpec, IdentityHeadSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import PRETRAINED
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.distill_spec import DistillSpec
from nearfar.methods.method import Method
from nearfar.methods.method_spec import ViewFormat
from nearfar.methods.queue import Queue
from nearfar.methods.teacher_rows import TeacherRows
from nearfar.modality import in_words
from nearfar.objectives import byol, similarity_distillation
from nearfar.objectives.precision import unit_rows
from nearfar.paths import user_path
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest
from nearfar.similarity.gathering import gather_rows
from nearfar.table_features import TableFeature


class Distill(Method):
    """A student beside a frozen teacher: a finished run, a model of timm, or features of examples.

    By similarities to a queue (SEED, Fang et al. 2021), or by regression.

    Each view passes both: the student's encoder and head, whose output is as wide as the teacher's,
    and the teacher in eval mode, brought to its own size and normalised by its own statistics. By
    `objective` the student matches the teacher's softmax over its own row and a queue of its
    earlier ones (`similarity_distillation`), or the teacher's unit row itself (‖s − z‖²); the loss
    is the mean over the views. While the queue is empty, on the first step, the candidates are the
    teacher's rows of the batch. They enter the queue after the step, of all views.

    Of a teacher that is an array, its one row of an example is matched by every view of it.

    The teacher is no part of the method: no checkpoint holds its weights, and `fingerprints` say
    which it was.

    Args:
        spec: Teacher, objective, head and queue.
        encoder: A module with `num_features`, of any kind; trained, and kept with the head.
        views: Shape and statistics of the views; None: they are as the teacher's own examples.

    Raises:
        NearfarError: The teacher is no finished run, or damaged; or its weights cannot be read.
        SettingError: None is named; it takes other examples; or an identity head is as wide as
            another number of features.
    """

    _teacher: SavedEncoder | TeacherRows

    def __init__(
        self, spec: DistillSpec, encoder: nn.Module, views: ViewFormat | None = None
    ) -> None:
        super().__init__()
        self._told: dict[str, str] = {}
        if spec.teacher is None:
            raise SettingError(
                "method.teacher is not set: name the folder of a finished run, a model of timm as "
                "timm/NAME, or a file of a model's features"
            )
        if spec.teacher_is_file:
            teacher = TeacherRows.load(user_path(spec.teacher))
            width = teacher.rows.shape[1]
        else:
            # Also where a method is only measured, on a device that holds nothing.
            with torch.device("cpu"):
                teacher, told = _teacher(spec, views)
            width = teacher.num_features
            self._told = {} if told is None else {"teacher": told}
            if views is not None:
                _require_taken(teacher, views.shape, views.columns)
        own = cast(int, encoder.num_features)
        self.encoder = encoder
        self.head_spec = _as_wide(spec.projection, own, width)
        self.projection = self.head_spec.build(own)
        self.queue = None
        if spec.objective == "queue":
            self.queue = Queue(spec.queue_size, keys=torch.zeros(width))
        self.spec = spec
        # Beside what is trained and saved.
        object.__setattr__(self, "_teacher", teacher)
        self._views = views
        self._last: tuple[Tensor, Tensor] | None = None

    @property
    def embedding_head(self) -> nn.Module:
        """The head whose output is as wide as the teacher's."""
        return self.projection

    @property
    def told(self) -> dict[str, str]:
        """Whose weights a model of timm has, and the size that it sees."""
        return self._told

    @property
    def fingerprints(self) -> dict[str, str]:
        """The teacher, by its weights."""
        return {"teacher (content)": self._teacher.fingerprint}

    def check_examples(self, whole: Part | None) -> None:
        """Refuse an array that does not fit the training part."""
        if not isinstance(self._teacher, TeacherRows):
            return
        if whole is None:
            raise SettingError(
                "method.teacher is a file of features, which belong to one part: set "
                "data.train_part to train or unlabelled"
            )
        self._teacher.require(len(whole), part_fingerprint(replace(whole, labels=None)))

    def belonging(self, numbers: Tensor) -> tuple[Tensor, ...]:
        """The rows of a teacher that is an array."""
        if not isinstance(self._teacher, TeacherRows):
            return ()
        return (self._teacher.of(numbers, next(self.parameters())),)

    def embed(self, views: tuple[Tensor, ...]) -> tuple[Float[Tensor, "batch dim"], ...]:
        """The student's embeddings of each view, then the teacher's.

        Args:
            views: Behind them, the rows of a teacher that is an array.
        """
        given: tuple[Tensor, ...] = ()
        if isinstance(self._teacher, TeacherRows):
            views, given = views[:-1], (views[-1],) * (len(views) - 1)
        students = self.projection(self.encoder(torch.cat(views))).chunk(len(views))
        with torch.no_grad():
            teachers = given or tuple(self._taught(view) for view in views)
        return *students, *teachers

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """The mean over the views, of the rows of all ranks; labels are not used."""
        gathered = tuple(map(gather_rows, embedded))
        students, teachers = gathered[: len(gathered) // 2], gathered[len(gathered) // 2 :]
        self._last = students[0].detach(), teachers[0]
        pairs = zip(students, teachers, strict=True)
        if self.queue is None:
            return torch.stack([byol(*pair) for pair in pairs]).mean()
        self.queue.wait(keys=unit_rows(torch.cat(teachers)))
        queued = self.queue.rows("keys")
        with computing(group=dist.group.WORLD):
            losses = [
                similarity_distillation(
                    *pair,
                    queue=queued if len(queued) else None,
                    temperature=self.spec.temperature,
                    teacher_temperature=self.spec.teacher_temperature,
                )
                for pair in pairs
            ]
        return torch.stack(losses).mean()

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's first view; computed when read.

        Returns:
            `teacher_cosine`, the mean cosine of student and teacher (−1 to 1);
            `nearest_is_own_teacher`, the share of students (0 to 1) whose most similar teacher row
            of the batch is their own; with a queue, `queue_filled` (0 to 1). Empty before the first
            call.
        """
        if self._last is None:
            return {}
        students, teachers = map(unit_rows, self._last)
        _, nearest = hardest(students, teachers, largest=True)
        own = torch.arange(len(students), device=nearest.device)
        filled = {} if self.queue is None else {"queue_filled": len(self.queue) / self.queue.size}
        return {
            "teacher_cosine": float((students * teachers).sum(dim=1).mean()),
            "nearest_is_own_teacher": float((nearest == own).float().mean()),
            **filled,
        }

    def after_step(self, progress: float) -> None:  # noqa: ARG002  nothing rises or falls
        """The teacher's rows of the step enter the queue."""
        if self.queue is not None:
            self.queue.let_in()

    def _taught(self, view: Tensor) -> Float[Tensor, "batch dim"]:
        """The teacher's rows of a view."""
        assert isinstance(self._teacher, SavedEncoder)
        # Texts are bytes, of which a network takes no type.
        kind = view.dtype if view.is_floating_point() else None
        teacher = self._teacher.to(device=view.device, dtype=kind)
        if self._views is not None:
            return teacher.of_views(view, self._views.mean, self._views.std)
        _require_taken(teacher, tuple(view.shape[1:]))
        return teacher.of_views(view)


def _teacher(spec: DistillSpec, views: ViewFormat | None) -> tuple[SavedEncoder, str | None]:
    """The teacher that sees views, and in words what a name alone does not tell."""
    assert spec.teacher is not None
    if not spec.teacher_is_timms:
        teacher = load_encoder(user_path(spec.teacher), spec.teacher_output)
        return teacher.requires_grad_(False), None
    # Here, because it needs timm, which other teachers do without.
    from nearfar.encoders.named_encoder import named_encoder

    channels = views.shape[0] if views is not None and len(views.shape) == 3 else None
    weights = spec.teacher_weights or PRETRAINED
    teacher, origin = named_encoder(spec.teacher, weights, "method.teacher_weights", channels)
    told = f"{origin.title}, sees {in_words(teacher.modality, teacher.shape)}"
    return teacher.requires_grad_(False), told


def _require_taken(
    teacher: SavedEncoder, shape: tuple[int, ...], columns: tuple[TableFeature, ...] | None = None
) -> None:
    """Refuse examples that it does not take, or whose columns it knows in another order."""
    try:
        teacher.check(shape)
    except NearfarError as error:
        raise SettingError(f"method.teacher does not fit these data: {error}") from None
    if None not in (columns, teacher.columns) and columns != teacher.columns:
        raise SettingError(
            "method.teacher has learnt from a table with other columns, or with these in another "
            "order: give the columns as they were there"
        )


def _as_wide(spec: HeadSpec, own: int, width: int) -> HeadSpec:
    """The head that makes features as wide as the teacher's."""
    if not isinstance(spec, IdentityHeadSpec):
        return replace(spec, dim=width)  # type: ignore[call-arg]
    if own != width:
        raise SettingError(
            f"method.head is identity: the student has {own} features and the teacher {width}: "
            "choose mlp or linear"
        )
    return spec
