"""How a run trains: length, batch, optimiser, learning rate, machine. No torch."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from nearfar.errors import SettingError, unknown_name
from nearfar.spec import Above0, Choice, Count, Nested, Share, Spec
from nearfar.training.schedules import CosineSpec, ScheduleSpec
from nearfar.training.tracker_specs import NoTrackerSpec, TrackerSpec

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")

Rate = Annotated[float, Gt(0), Le(1_000_000)]
Decay = Annotated[float, Ge(0), Le(1_000_000)]
Momentum = Annotated[float, Ge(0), Lt(1)]
Vote = tuple[Count, Annotated[float, Ge(0.0001), Le(10_000)]]
"""Neighbours k and temperature T."""


class OptimizerSpec(Choice, noun="optimiser"):
    """What turns gradients into steps. Defaults are for batches of about 256.

    Attributes:
        moments: How many numbers it remembers of each weight.
        name: adamw, sgd or lars.
    """

    room: ClassVar[str] = "training.optimizer."
    moments: ClassVar[int] = 1
    own: ClassVar[tuple[str, ...]] = ("learning_rate", "weight_decay")

    learning_rate: Rate = 1e-3
    """Highest learning rate, reached at the end of the warm-up."""
    weight_decay: Decay = 1e-4
    """Decay of weights; batch-norm parameters and biases are left out."""
    layer_decay: Annotated[float, Gt(0), Le(1)] = field(default=1.0, kw_only=True)
    """Learning rate of each of the encoder's layers, in those of the layer above it."""
    head_rate: Rate = field(default=1.0, kw_only=True)
    """Learning rate of all that lies outside of the encoder, in learning rates."""

    def build(self, module: "nn.Module") -> "Optimizer":
        """The optimiser, over every parameter of a module that wants a gradient."""
        return super().build(module)


class AdamWSpec(OptimizerSpec):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    target: ClassVar[str] = "nearfar.training.optimizers:adamw"
    moments: ClassVar[int] = 2

    name: Literal["adamw"] = "adamw"


class SGDSpec(OptimizerSpec):
    """Gradient descent with momentum, without Nesterov's; the rate is MoCo's (He et al. 2020)."""

    target: ClassVar[str] = "nearfar.training.optimizers:sgd"

    name: Literal["sgd"] = "sgd"
    learning_rate: Rate = 0.03
    """Highest learning rate, reached at the end of the warm-up."""
    momentum: Momentum = 0.9
    """Share of the last step that goes into the next."""


class LARSSpec(OptimizerSpec):
    """Momentum with a rate for each layer, for large batches (You, Gitman & Ginsburg 2017).

    The rate and the decay are SimCLR's (Chen et al. 2020), for a batch of 256.
    """

    target: ClassVar[str] = "nearfar.training.optimizers:lars"

    name: Literal["lars"] = "lars"
    learning_rate: Rate = 0.3
    """Highest learning rate, reached at the end of the warm-up."""
    weight_decay: Decay = 1e-6
    """Decay of weights; batch-norm parameters and biases are left out."""
    momentum: Momentum = 0.9
    """Share of the last step that goes into the next."""


class TrainingSpec(Spec):
    """How long, how fast, on what."""

    room: ClassVar[str] = "training."

    epochs: Count = 100
    """Passes over the training examples."""
    batch_size: Annotated[int, Ge(2)] = 256
    """Examples in a step, on all ranks together, 2 or more: others are the negatives."""
    micro_batch_size: Count | None = None
    """Examples embedded at a time (on each rank), for batches larger than memory."""
    optimizer: Nested[OptimizerSpec] = field(default_factory=AdamWSpec)
    schedule: Nested[ScheduleSpec] = field(default_factory=CosineSpec)
    ema: Momentum | None = field(default=None, kw_only=True)
    """Share that an average of the weights keeps at each step, such as 0.999; the average is what
    is judged and saved. Left out, the weights themselves are."""
    clip_norm: Above0 | None = None
    """Largest gradient norm; left out, gradients are not clipped."""
    false_positives: Share = 0.0
    """Probability that a second view is of another class's example; an experiment with labels."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …, or mps, Apple's GPUs."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto takes bf16 autocast where the hardware multiplies bf16 faster; fp16 scales the loss."""
    threads: Annotated[int, Ge(1), Le(1024)] | None = None
    """Threads on a CPU; left out, as many as are fastest in a few measured steps."""
    knn_every: Annotated[int, Ge(0)] = 5
    """Epochs between kNN checks on labelled examples that data.held_out keeps; 0 for none."""
    knn_vote: Vote = field(default=(20, 0.07), kw_only=True)
    """Neighbours k and temperature T of the kNN checks."""
    online_probe: bool | None = field(default=None, kw_only=True)
    """Let a linear classifier learn the labels beside the run, on features that take no gradient
    from it; True or left out."""
    compile: bool | None = field(default=None, kw_only=True)
    """Compile the encoder by torch.compile: slow first steps, faster ones; True or left out."""
    shard: bool | None = field(default=None, kw_only=True)
    """Share weights, gradients and moments of the encoder out over the ranks, for encoders that do
    not fit; True or left out."""
    keep_epoch: Literal["last", "best"] = field(default="last", kw_only=True)
    """Epoch whose encoder is judged and saved: the last, or that with the best kNN check on
    held-out examples, the earliest of equals."""
    checkpoint_every: Count = 1
    """Epochs between checkpoints."""
    keep_checkpoints: Annotated[int, Ge(2)] = 2
    """Newest checkpoints kept; 2 or more, so that a damaged one has a predecessor."""
    tracker: Nested[TrackerSpec] = field(default_factory=NoTrackerSpec, kw_only=True)

    def check(self) -> None:
        """The device has a name, a part of a batch fits into it, the schedule into the run."""
        if not _DEVICE.fullmatch(self.device):
            raise unknown_name("device", self.device, ("auto", "cpu", "cuda", "cuda:0", "mps"))
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise SettingError(
                f"training.micro_batch_size is {self.micro_batch_size}: it must be 1 to "
                f"training.batch_size, which is {self.batch_size}, or left out"
            )
        if self.keep_epoch == "best" and not self.knn_every:
            raise self.no_check("training.knn_every is 0")
        self.schedule.check_epochs(self.epochs)
        self._check_shard()

    def _check_shard(self) -> None:
        """Nothing is asked for beside shards that needs whole encoders in every step."""
        others = {
            "precision is fp16": self.precision == "fp16",
            "compile is True": self.compile,
            f"ema is {self.ema}": self.ema is not None,
            "keep_epoch is best": self.keep_epoch == "best",
            "online_probe is True": self.online_probe,
        }
        for what in [what for what, asked in others.items() if asked and self.shard]:
            raise SettingError(
                f"training.shard is True and training.{what}: the two do not go together: leave "
                "one out"
            )

    @staticmethod
    def no_check(why: str) -> SettingError:
        """The error for an epoch that is to be chosen by a check which there is not."""
        return SettingError(
            "training.keep_epoch is best: the best epoch is told by the kNN check on held-out "
            f"labelled examples, and {why}: change that, or keep the last epoch"
        )

    def require_ranks(self, ranks: int) -> None:
        """Refuse a batch that the processes of a run cannot share evenly.

        Args:
            ranks: Processes that share each batch.

        Raises:
            SettingError: Naming a batch size that would do.
        """
        if self.batch_size % ranks or self.batch_size < 2 * ranks:
            nearest = max(2, self.batch_size // ranks) * ranks
            raise SettingError(
                f"training.batch_size is {self.batch_size}: it must be shared evenly by {ranks} "
                f"ranks, 2 images or more each, such as {nearest}"
            )

    def require_examples(self, count: int, *, labelled: bool) -> None:
        """Refuse data that are too few for a batch, or without the labels that training reads.

        Args:
            count: Examples to learn from.
            labelled: Whether they have labels.

        Raises:
            SettingError: Naming the setting.
        """
        if self.batch_size > count:
            raise SettingError(
                f"training.batch_size is {self.batch_size}: it must be at most the number of "
                f"training images, which is {count}"
            )
        if self.online_probe and not labelled:
            raise SettingError(
                "training.online_probe is True: it learns labels, and what is learnt from has "
                "none, or not of all examples: leave it out, or set data.train_part to train"
            )
        if self.false_positives and not labelled:
            raise SettingError(
                f"training.false_positives is {self.false_positives}: it must be 0 for data "
                "without labels, which tell the classes apart"
            )


_OF_OPTIMIZER = ("learning_rate", "weight_decay", "momentum")


def in_current_form(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as format 1 wrote them, all flat, with optimiser and schedule in their own place.

    Args:
        settings: Of the training of a run.
    """
    current = dict(settings)
    optimizer: dict[str, Any] = {"name": current.pop("optimizer", "adamw")}
    optimizer |= {key: current.pop(key) for key in _OF_OPTIMIZER if key in current}
    if optimizer["name"] == "adamw":  # every optimiser named a momentum
        optimizer.pop("momentum", None)
    drops = current.pop("drops", None)
    schedule: dict[str, Any] = {"name": "drops", "epochs": drops} if drops else {"name": "cosine"}
    if "warmup_share" in current:
        schedule["warmup_share"] = current.pop("warmup_share")
    return current | {"optimizer": optimizer, "schedule": schedule}
