"""Every method that an encoder can be trained with: its settings and what it needs. No torch."""

from dataclasses import dataclass, field, replace
from importlib import import_module
from math import log
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, runtime_checkable

from annotated_types import Gt, Le

from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.head_specs import (
    HeadName,
    HeadSpec,
    HeadWidth,
    IdentityHeadSpec,
    LinearHeadSpec,
    MLPHeadSpec,
)
from nearfar.encoders.specs import (
    PRETRAINED,
    RANDOM,
    TIMM_PREFIX,
    EncoderSpec,
    gets_pretrained,
    refuse_elsewhere,
)
from nearfar.errors import SettingError
from nearfar.methods.objective_specs import NTXentSpec, ObjectiveSpec, Temperature
from nearfar.modality import Modality
from nearfar.paths import user_path
from nearfar.spec import Above0, Choice, Count, Nested, NotNegative, PathOrName, Share

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


class MethodSpec(Choice, noun="method"):
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


class SimCLRSpec(MethodSpec):
    """SimCLR (Chen et al. 2020): views of an image near, all other images far."""

    target = "nearfar.methods.simclr:SimCLR"
    title = "SimCLR"
    summary = "two views of an example near, all other examples of the batch far"
    source = "Chen et al. 2020"
    name: Literal["simclr"] = "simclr"
    objective: Nested[ObjectiveSpec] = NTXentSpec()
    """What the embeddings are compared by; `nearfar objectives` says what each computes."""
    head: HeadName = field(default="mlp", kw_only=True)
    """From features to embeddings; identity: the objective compares the features themselves."""
    projection_hidden: HeadWidth | None = 512
    """Width of the mlp head's hidden layer; None makes the head linear."""
    projection_dim: HeadWidth = 128
    """Width of the embeddings that the objective compares; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """Linear, batch-norm, ReLU, linear; or as set."""
        if self.projection_hidden is None and self.head == "mlp":
            return LinearHeadSpec(dim=self.projection_dim)
        mlp = MLPHeadSpec(hidden=self.projection_hidden, dim=self.projection_dim)
        return head_named(self.head, mlp)

    @property
    def reads_labels(self) -> bool:
        """Whether false negatives are dropped, by labels."""
        return self._drops != "no"

    def chance_loss(self, batch_size: int) -> float | None:
        """The logarithm of the candidates, one of which is the positive."""
        candidates = self.objective.candidates(batch_size)
        return None if candidates is None or self._drops == "yes" else log(candidates)

    @property
    def _drops(self) -> str:
        """What happens to false negatives, which not every objective can drop."""
        return getattr(self.objective, "drop_false_negatives", "no")

    def require_labels(self, labelled: bool, source: str) -> None:
        """Refuse data without labels where false negatives are dropped by them."""
        if self.reads_labels and not labelled:
            raise SettingError(
                f"method.objective.drop_false_negatives is {self._drops}: it needs labels, and the "
                f"part of {source} to learn from has none"
            )


class MoCoSpec(MethodSpec):
    """MoCo v1 and v2 (He et al. 2020, Chen et al. 2020): a query near its key, far from a queue."""

    target = "nearfar.methods.moco:MoCo"
    title = "MoCo"
    summary = (
        "a view near what a slow copy of the encoder says of the other, far from a queue of such"
    )
    source = "He et al. 2020, Chen et al. 2020"
    most_views = 2
    name: Literal["moco"] = "moco"
    head: HeadName = "mlp"
    """linear is v1's, mlp v2's, with a hidden layer; identity: features are compared themselves."""
    projection_hidden: HeadWidth | None = None
    """Width of the mlp head's hidden layer; left out, that of the features."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that the loss compares; an identity head keeps the features'."""
    temperature: Temperature = 0.2
    """Divides cosine similarities in the loss. v1 has 0.07."""
    queue_size: Count = 65536
    """Most keys of earlier steps that are negatives."""
    momentum: Share = 0.999
    """Share of its weights that the key encoder keeps at each step."""
    symmetric: bool = False
    """Add the loss with the views exchanged; each step then adds both views' keys to the queue."""
    batch_norm_splits: Count = 1
    """Parts of a rank's batch that batch-norm normalises apart, keys in random order; 1: whole."""

    def check(self) -> None:
        """The mlp head alone has a hidden layer."""
        if self.head != "mlp" and self.projection_hidden is not None:
            raise SettingError(
                f"method.projection_hidden is {self.projection_hidden}: the {self.head} head has "
                "no hidden layer: leave it out, or set method.head to mlp"
            )

    @property
    def projection(self) -> HeadSpec:
        """Linear, ReLU, linear; or as set."""
        mlp = MLPHeadSpec(
            hidden=self.projection_hidden,
            dim=self.projection_dim,
            batch_norm=False,
            hidden_bias=True,
        )
        return head_named(self.head, mlp)


class BYOLSpec(MethodSpec):
    """BYOL (Grill et al. 2020): predict a slow target network's view; no negatives."""

    target = "nearfar.methods.byol:BYOL"
    title = "BYOL"
    summary = "predict what a slow copy of the encoder says of the other view; no negatives"
    source = "Grill et al. 2020"
    most_views = 2
    name: Literal["byol"] = "byol"
    head: HeadName = field(default="mlp", kw_only=True)
    """The projector; identity: features are predicted themselves."""
    projection_hidden: HeadWidth = 4096
    """Width of the mlp projector's hidden layer."""
    projection_dim: HeadWidth = 256
    """Width of the embedding that is predicted; an identity head keeps the features'."""
    prediction_hidden: HeadWidth = 4096
    """Width of the predictor's hidden layer."""
    momentum: Share = 0.996
    """Share of its weights that the target keeps at the first step; rises to 1."""

    @property
    def projection(self) -> HeadSpec:
        """The projector: linear, batch-norm, ReLU, linear; or as set."""
        mlp = _byol_mlp(self.projection_hidden, self.projection_dim)
        return head_named(self.head, mlp)

    def prediction(self, num_features: int) -> MLPHeadSpec:
        """The predictor: from embeddings to embeddings.

        Args:
            num_features: Of the encoder.
        """
        return _byol_mlp(self.prediction_hidden, self.projection.width(num_features))


class SupConSpec(MethodSpec):
    """SupCon (Khosla et al. 2020): views of all images of a class near, other classes far."""

    target = "nearfar.methods.supcon:SupCon"
    title = "SupCon"
    summary = "all views of all examples of a class near, those of other classes far"
    source = "Khosla et al. 2020"
    needs_labels = True
    name: Literal["supcon"] = "supcon"
    temperature: Temperature = 0.1
    """Divides cosine similarities in the loss."""
    kind: Literal["out", "in"] = "out"
    """Mean over positives outside the logarithm, as its authors recommend, or inside."""
    head: HeadName = field(default="mlp", kw_only=True)
    """From features to embeddings; identity: the loss compares the features themselves."""
    projection_hidden: HeadWidth = 512
    """Width of the mlp head's hidden layer."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that the loss compares; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """Linear, batch-norm, ReLU, linear; or as set."""
        mlp = MLPHeadSpec(hidden=self.projection_hidden, dim=self.projection_dim)
        return head_named(self.head, mlp)


class SupConQueueSpec(MethodSpec):
    """SupCon over MoCo's queue: keys of a momentum encoder are candidates (Cui et al. 2021)."""

    target = "nearfar.methods.supcon_queue:SupConQueue"
    title = "SupCon with a queue"
    summary = "a view near all of its class, among them a queue of what a slow encoder says"
    source = "Khosla et al. 2020, He et al. 2020, Cui et al. 2021"
    needs_labels, most_views = True, 2
    name: Literal["supcon-queue"] = "supcon-queue"
    temperature: Temperature = 0.1
    """Divides cosine similarities in the loss."""
    kind: Literal["out", "in"] = "out"
    """Mean over positives outside the logarithm, as SupCon's authors recommend, or inside."""
    queue_size: Count = 8192
    """Most keys of earlier steps that are candidates."""
    momentum: Share = 0.999
    """Share of its weights that the key encoder keeps at each step."""
    head: HeadName = "mlp"
    """From features to embeddings; identity: the loss compares the features themselves."""
    projection_hidden: HeadWidth = 512
    """Width of the mlp head's hidden layer."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that the loss compares; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """SupCon's: linear, batch-norm, ReLU, linear; or as set."""
        mlp = MLPHeadSpec(hidden=self.projection_hidden, dim=self.projection_dim)
        return head_named(self.head, mlp)


class CrossEntropySpec(MethodSpec):
    """Cross-entropy: the supervised baseline, a linear classifier on the encoder."""

    target = "nearfar.methods.cross_entropy:CrossEntropy"
    title = "cross-entropy"
    summary = "a linear classifier trained with its encoder: the supervised baseline"
    source = "the usual practice"
    needs_labels, needs_class_counts, least_views = True, True, 1
    without_head = "its classifier reads the features"
    name: Literal["cross-entropy"] = "cross-entropy"


class BalancedSoftmaxSpec(MethodSpec):
    """Balanced softmax (Ren et al. 2020): cross-entropy that knows how often each class occurs."""

    target = "nearfar.methods.cross_entropy:CrossEntropy"
    title = "balanced softmax"
    summary = "cross-entropy whose softmax knows how often each class occurs, for long tails"
    source = "Ren et al. 2020"
    needs_labels, needs_class_counts, least_views = True, True, 1
    without_head = "its classifier reads the features"
    name: Literal["balanced-softmax"] = "balanced-softmax"


class PaCoSpec(MethodSpec):
    """PaCo (Cui et al. 2021): supervised contrast with a queue and a centre for every class."""

    target = "nearfar.methods.paco:PaCo"
    title = "PaCo"
    summary = "supervised contrast with a queue, and a learned centre for every class"
    source = "Cui et al. 2021"
    needs_labels, needs_class_counts, most_views = True, True, 2
    name: Literal["paco"] = "paco"
    temperature: Temperature = 0.2
    """Divides cosine similarities of samples, not the centres' logits."""
    alpha: Above0 = 0.05
    """Weight of a positive sample beside its class's centre, which weighs 1."""
    normalisation: Literal["sum", "mean"] = "mean"
    """sum as the paper writes the loss; mean divides by the weights, as its program does."""
    queue_size: Count = 8192
    """Most keys of earlier steps that are candidates."""
    momentum: Share = 0.999
    """Share of its weights that the key encoder keeps at each step."""
    head: Literal["identity", "linear", "mlp", "batch-norm", "three-layer"] = "batch-norm"
    """mlp: linear, ReLU, linear; batch-norm: SimCLR's; three-layer: its program's for CIFAR, with
    two hidden layers and no batch-norm."""
    projection_hidden: HeadWidth = 512
    """Width of each hidden layer of the projection head."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that samples are compared by; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """As set."""
        hidden, dim = self.projection_hidden, self.projection_dim
        if self.head == "batch-norm":
            return MLPHeadSpec(hidden=hidden, dim=dim)
        depth = 2 if self.head == "three-layer" else 1
        mlp = MLPHeadSpec(hidden=hidden, dim=dim, depth=depth, batch_norm=False, hidden_bias=True)
        return head_named("mlp" if self.head == "three-layer" else self.head, mlp)


class CPCSpec(MethodSpec):
    """CPC (van den Oord et al. 2018): predict later steps of a series, text, or an image's rows."""

    target = "nearfar.methods.cpc:CPC"
    title = "CPC"
    summary = (
        "predict later steps of a series or text, or lower rows of an image, apart from others'"
    )
    source = "van den Oord et al. 2018"
    least_views, needs_steps = 1, True
    without_head = "it compares vectors of steps, which are the encoder's own"
    name: Literal["cpc"] = "cpc"
    prediction_steps: Count = 5
    """How many steps ahead are predicted, 1 up to one less than the encoder gives."""
    patch_crop: Annotated[float, Gt(0), Le(1)] = 1.0
    """patch-gru: side of a random crop of each patch, put back at a random place, over the patch's
    side; 1 leaves patches as they are."""
    patch_jitter: NotNegative = 0.0
    """patch-gru: deviation of each patch's own brightness, in deviations of the images, and of the
    logarithm of its contrast."""

    def require_patches(self, encoder: str) -> None:
        """Refuse changes of patches where there are none."""
        for name in ("patch_crop", "patch_jitter"):
            if (value := getattr(self, name)) != getattr(CPCSpec, name):
                raise SettingError(
                    f"method.{name} is {value}, and {encoder} cuts no patches: leave it out, or "
                    "choose encoder.name patch-gru"
                )

    def require_encoder(self, encoder: EncoderSpec) -> None:
        """Refuse an encoder without steps, and changes of patches where it cuts none."""
        super().require_encoder(encoder)
        if not encoder.cuts_patches:
            self.require_patches(f"encoder.name {encoder.name}")


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


def head_named(name: HeadName, mlp: MLPHeadSpec) -> HeadSpec:
    """The head that a method's setting names.

    Args:
        name: Which.
        mlp: The method's own.
    """
    heads = {"identity": IdentityHeadSpec(), "linear": LinearHeadSpec(dim=mlp.dim), "mlp": mlp}
    return heads[name]


def _byol_mlp(hidden: int, dim: int) -> MLPHeadSpec:
    """Linear, batch-norm, ReLU, linear; the last without a bias (Grill et al. 2020, appendix C)."""
    return MLPHeadSpec(hidden=hidden, dim=dim, hidden_bias=True, bias=False)


# At the end: it is a spec of this kind, and told after those of examples of one kind.
import_module("nearfar.methods.clip_spec")
