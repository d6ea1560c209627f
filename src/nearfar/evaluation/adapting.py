"""An encoder trained on with labels: a classifier on top, the encoder itself too or not."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.source import Part
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.freezing import training_mode
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.evaluation.features import frozen
from nearfar.evaluation.judged import Told, silent
from nearfar.training.generators import OwnDraws
from nearfar.training.parameter_groups import parameter_groups, set_learning_rate
from nearfar.training.schedules import CosineSpec
from nearfar.views.views import Views

MOMENTUM = 0.9
WARMUP_SHARE = 0.1
_KEPT_OF_VIEWS = frozenset(("size", "crop_scale", "crop_ratio", "flip", "rotation", "crop_length"))
"""What is drawn of a run's views while labels are learnt: where, and not in which colours."""


@dataclass(frozen=True)
class Course:
    """How a classifier is trained.

    Attributes:
        epochs: Passes over the labelled examples; more where they are too few for `least_steps`.
        least_steps: Steps at least.
        batch_size: Examples of a step; all where there are fewer.
        learning_rate: The highest, of SGD with Nesterov's momentum 0.9; down along a cosine.
        weight_decay: Of weights; not of biases and normalisation.
        freeze: What of the encoder stays as it is: "backbone", the first n stages, or nothing.
        layer_decay: Rate of each of the encoder's layers in those of the layer above it.
        head_rate: Rate of the classifier, in learning rates.
    """

    epochs: int
    least_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    freeze: str | int | None = None
    layer_decay: float = 1.0
    head_rate: float = 1.0


class Adapted(nn.Module):
    """A copy of an encoder's network with a linear classifier on its features.

    Args:
        encoder: Stays as it is.
        classes: Of the classifier, which begins at 0.
        freeze: As in `Course`.
    """

    def __init__(self, encoder: SavedEncoder, classes: int, freeze: str | int | None) -> None:
        super().__init__()
        self.whole = copy.deepcopy(encoder).requires_grad_(True)
        AdaptSpec(freeze=freeze).apply(self.encoder)  # pyright: ignore[reportArgumentType]
        self.classifier = zero_classifier(encoder.num_features, classes)

    @property
    def encoder(self) -> nn.Module:
        """The network, on normalised examples."""
        return self.whole.backbone

    def forward(self, examples: Tensor) -> Float[Tensor, "batch classes"]:
        """Logits of examples as they are."""
        return self.classifier(self.whole(examples))


def adapt(
    encoder: SavedEncoder,
    part: Part,
    classes: int,
    course: Course,
    *,
    views: Views | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    workers: int = 0,
    told: Told = silent,
) -> Adapted:
    """Train a classifier on labelled examples, and the encoder with it as far as it is not frozen.

    Frozen parts stay in evaluation mode, batch-norm with the statistics that it has.

    Args:
        encoder: Where it starts; stays as it is.
        part: The labelled examples, with nothing held back.
        classes: How many there are.
        course: How.
        views: Augments each example by a view of its own, of crops, flips and rotations only
            (`where_only`); None takes examples as they are.
        seed: Of the order and the views.
        device: Where to.
        workers: Processes that decode streamed images.
        told: Told how far it is.

    Returns:
        The last step's, in evaluation mode; where the loss became infinite, its weights are not
        finite either.
    """
    device = torch.device(device)
    assert part.labels is not None
    batches = batches_of(part, course.batch_size, seed=seed, device=device, workers=workers)
    adapted = Adapted(encoder, classes, course.freeze).to(device)
    features_of = viewed(adapted.whole, views, torch.Generator(device).manual_seed(seed))
    groups = parameter_groups(
        adapted,
        weight_decay=course.weight_decay,
        layer_decay=course.layer_decay,
        head_rate=course.head_rate,
    )
    optimizer = SGD(groups, lr=course.learning_rate, momentum=MOMENTUM, nesterov=True)
    schedule = CosineSpec(warmup_share=WARMUP_SHARE)
    epochs = max(course.epochs, math.ceil(course.least_steps / batches.steps_per_epoch))
    total, step, loss = epochs * batches.steps_per_epoch, 0, torch.zeros(())
    training_mode(adapted)
    with OwnDraws(seed, device), torch.enable_grad():
        for epoch in range(epochs):
            for examples, labels, _ in batches.epoch(epoch):
                rate = schedule.rate_at(step, peak=course.learning_rate, total_steps=total)
                set_learning_rate(optimizer, rate)
                logits = adapted.classifier(features_of(examples))
                loss = F.cross_entropy(logits, cast(Tensor, labels))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                step += 1
            told(f"epoch {epoch + 1} of {epochs}", (epoch + 1) / epochs)
            if not math.isfinite(float(loss.detach())):
                break
    return adapted.eval()


def zero_classifier(num_features: int, classes: int) -> nn.Linear:
    """Weights of 0: no draw decides where it begins."""
    classifier = nn.Linear(num_features, classes)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return classifier


def batches_of(
    part: Part, batch_size: int, *, seed: int, device: torch.device, workers: int
) -> TrainingBatches:
    """Batches of labelled examples, of all at once where there are fewer."""
    return TrainingBatches(
        part.examples,
        part.labels,
        batch_size=min(batch_size, len(part)),
        seed=seed,
        device=device,
        workers=workers,
        modality=part.modality,
    )


def viewed(
    encoder: SavedEncoder, views: Views | None, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """What gives features of examples as they are, or of a view of each (`where_only`)."""
    if views is None:
        return encoder
    drawn = where_only(views)
    return lambda examples: encoder.backbone(drawn.draw(examples, generator))


def where_only(views: Views) -> Views:
    """The first of some views without all that changes colours or values: crops, flips, rotations.

    Args:
        views: Of a run.
    """
    first = views.parameters[0]
    plain = {
        each.name: 0.0 for each in fields(first) if isinstance(getattr(first, each.name), float)
    }
    plain = {name: value for name, value in plain.items() if name not in _KEPT_OF_VIEWS}
    drawn = copy.copy(views)
    drawn.parameters = (replace(first, **plain),) * 2
    return drawn


def answers(
    adapted: Adapted,
    part: Part,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 512,
    workers: int = 0,
) -> Int64[Tensor, " n"]:
    """The predicted class of every example, on the CPU; -1 where no logit is finite.

    Args:
        adapted: From `adapt`, on the device.
        part: Examples.
        device: Where it is.
        batch_size: Examples in a batch.
        workers: Processes that decode streamed images.
    """
    batches = evaluation_batches(
        part.examples, batch_size=batch_size, device=torch.device(device), workers=workers
    )
    found = []
    with frozen(adapted):
        for examples, _ in batches:
            logits = adapted(examples).cpu()
            finite = torch.isfinite(logits).all(dim=1)
            found.append(torch.where(finite, logits.argmax(dim=1), -1))
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
