"""The linear probe of papers: SGD on random views, through an encoder that stays as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from nearfar.data.batches import evaluation_batches
from nearfar.data.source import Part, choose
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.evaluation.accuracy import LabelledFeatures, score_records, shot_groups
from nearfar.evaluation.adapting import MOMENTUM, batches_of, viewed, zero_classifier
from nearfar.evaluation.features import frozen
from nearfar.evaluation.judged import Found, Judged, Told, silent, within
from nearfar.evaluation.trained_specs import SGDProbeSpec
from nearfar.training.parameter_groups import set_learning_rate
from nearfar.training.schedules import CosineSpec
from nearfar.views.views import Views

RATE_BATCH = 256
"""Batch for which rates are stated; others have rates in proportion (Goyal et al. 2017)."""
_COSINE = CosineSpec(warmup_share=0.0)


@dataclass(frozen=True)
class ProbeCourse:
    """How the classifiers are trained: SGD with momentum 0.9, the rate down along a cosine.

    Attributes:
        epochs: Passes over the examples.
        batch_size: Examples of a step; all where there are fewer.
        weight_decay: Of the weights.
    """

    epochs: int
    batch_size: int
    weight_decay: float = 0.0


def train_probes(
    encoder: SavedEncoder,
    part: Part,
    classes: int,
    course: ProbeCourse,
    rates: Sequence[float],
    *,
    views: Views | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    workers: int = 0,
    told: Told = silent,
) -> list[nn.Linear]:
    """A linear classifier for each rate, all on the same views in one pass through the encoder.

    The encoder stays in evaluation mode and takes no gradient.

    Args:
        encoder: Frozen.
        part: Labelled examples.
        classes: How many there are.
        course: How.
        rates: For a batch of 256.
        views: Augments by crops, flips and rotations; None takes examples as they are.
        seed: Of order and views.
        device: Where the encoder is.
        workers: Processes that decode streamed images.
        told: Told how far it is.
    """
    device = torch.device(device)
    batches = batches_of(part, course.batch_size, seed=seed, device=device, workers=workers)
    features_of = viewed(encoder, views, torch.Generator(device).manual_seed(seed))
    probes = [zero_classifier(encoder.num_features, classes).to(device) for _ in rates]
    peaks = [rate * batches.batch_size / RATE_BATCH for rate in rates]
    optimizers = [
        SGD(each.parameters(), lr=peak, momentum=MOMENTUM, weight_decay=course.weight_decay)
        for each, peak in zip(probes, peaks, strict=True)
    ]
    total, step = course.epochs * batches.steps_per_epoch, 0
    for epoch in range(course.epochs):
        for examples, labels, _ in batches.epoch(epoch):
            with frozen(encoder):
                held = features_of(examples)
            features = held.clone()  # outside of inference mode, gradients may pass
            with torch.enable_grad():
                assert labels is not None
                losses = [F.cross_entropy(each(features), labels) for each in probes]
                torch.autograd.backward(losses)
            for optimizer, peak in zip(optimizers, peaks, strict=True):
                set_learning_rate(optimizer, _COSINE.rate_at(step, peak=peak, total_steps=total))
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            step += 1
        told(f"epoch {epoch + 1} of {course.epochs}", (epoch + 1) / course.epochs)
    return probes


def logits(
    encoder: SavedEncoder,
    probes: Sequence[nn.Linear],
    part: Part,
    *,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> list[Float[Tensor, "n classes"]]:
    """What each classifier says of every example as it is, on the CPU; not finite becomes 0."""
    rows: list[list[Tensor]] = [[] for _ in probes]
    batches = evaluation_batches(
        part.examples, batch_size=512, device=torch.device(device), workers=workers
    )
    with frozen(encoder):
        for examples, _ in batches:
            features = encoder(examples)
            for held, probe in zip(rows, probes, strict=True):
                held.append(torch.nan_to_num(probe(features).cpu(), nan=0.0))
    return [torch.cat(held).clone() for held in rows]


def judge(spec: SGDProbeSpec, judged: Judged) -> Found:
    """Accuracies after the last epoch, at the rate that errs least on part of the training data."""
    encoder, source = judged.encoder, judged.source
    if not isinstance(encoder, SavedEncoder):
        return Found(notes=["linear probe by SGD left out: this encoder takes no views"])
    assert source.test is not None
    assert source.num_classes is not None
    assert source.train.labels is not None
    assert source.test.labels is not None
    course = ProbeCourse(spec.epochs, spec.batch_size, spec.weight_decay)
    views = judged.views if spec.augment else None

    def told(what: str, done: float) -> None:
        judged.say(f"linear probe by SGD: {judged.kind}, {what}", done)

    def trained(part: Part, rates: Sequence[float], said: Told) -> list[nn.Linear]:
        return train_probes(
            encoder,
            part,
            source.num_classes or 0,
            course,
            rates,
            views=views,
            seed=judged.seed,
            device=judged.device,
            workers=judged.workers,
            told=said,
        )

    rate = _chosen(spec, judged, encoder, trained, within(told, 0.0, 0.5))
    (probe,) = trained(source.train, [rate], within(told, 0.5, 1.0))
    (scores,) = logits(encoder, [probe], source.test, device=judged.device, workers=judged.workers)
    labels, truth = source.train.labels.cpu(), source.test.labels.cpu()
    counts = torch.bincount(labels, minlength=source.num_classes)
    nothing = torch.zeros(len(truth), 0)
    data = LabelledFeatures(
        judged.kind,
        nothing[:0],
        labels[:0],
        nothing,
        truth,
        source.num_classes,
        shot_groups(counts, truth),
    )
    shares = torch.softmax(scores.double(), dim=1).clamp(min=1e-300)
    parameters = {"learning_rate": rate, "epochs": spec.epochs, "augmented": views is not None}
    return Found(score_records("sgd_probe", data, shares, parameters), answers=shares.argmax(dim=1))


def _chosen(
    spec: SGDProbeSpec,
    judged: Judged,
    encoder: SavedEncoder,
    trained: Callable[[Part, Sequence[float], Told], list[nn.Linear]],
    told: Told,
) -> float:
    """The rate that errs least on a fifth of some training examples, without near-copies."""
    if len(spec.learning_rates) == 1:
        return spec.learning_rates[0]
    some, labels, fitting, choosing = judged.choice
    if not len(choosing) or len(torch.unique(labels[fitting])) < 2:
        return spec.learning_rates[len(spec.learning_rates) // 2]
    probes = trained(choose(some, fitting), spec.learning_rates, told)
    said = logits(
        encoder, probes, choose(some, choosing), device=judged.device, workers=judged.workers
    )
    right = [int((each.argmax(dim=1) == labels[choosing]).sum()) for each in said]
    return spec.learning_rates[max(range(len(right)), key=right.__getitem__)]
