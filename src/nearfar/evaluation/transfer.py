"""How far an encoder serves on a set that it did not learn from, by the metric of that set."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.data.columns import in_columns
from nearfar.data.source import Examples, Part, Source, StreamedExamples, choose
from nearfar.data.source_spec import Metric
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError
from nearfar.evaluation.adapting import Course, adapt, answers
from nearfar.evaluation.features import extract_features
from nearfar.evaluation.few_labels import FEW_LABELS_L2, choose_form_for_few, draw_labels
from nearfar.evaluation.forms import forms, transforms
from nearfar.evaluation.judged import Told, silent, within
from nearfar.evaluation.linear_probe import fit, linear_probe
from nearfar.evaluation.metrics import mean_per_class, voc_precisions
from nearfar.modality import Modality

FEW = 10
"""Labels a class of the probes with few labels."""
RATES = (0.01, 0.03, 0.1)
"""Highest rates of SGD that fine-tuning tries."""
STEPS = 100
"""Of fine-tuning, along a cosine."""
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Features:
    """What is judged on a set.

    Attributes:
        encoder: Whose features these are.
        train: Features to learn from, and `train_part` what they are of.
        test: Features to judge by, and `test_part` likewise.
        classes: How many there are.
        metric: What the set is published with.
        workers: Processes that decode streamed images.
    """

    encoder: SavedEncoder
    train: Float[Tensor, "n dim"]
    train_part: Part
    test: Float[Tensor, "m dim"]
    test_part: Part
    classes: int
    metric: Metric
    workers: int = 0


def features_of(
    encoder: SavedEncoder, source: Source, metric: Metric, *, workers: int = 0
) -> Features:
    """Features of both parts of a set.

    Args:
        encoder: Of the same kind of examples; grey images become colour and the other way round.
        source: With a test part and labels, of one class or of several.
        metric: What the set is published with.
        workers: Processes that decode streamed images.

    Raises:
        NearfarError: The set has no labels or no test part, or the encoder cannot take it.
    """
    source = in_columns(source, encoder.columns)
    why = unfit(source)
    if why:
        raise NearfarError(f"{source.name} {why}")
    assert source.test is not None
    parts = [
        _in_channels(part, encoder.modality, encoder.shape[0])
        for part in (source.train, source.test)
    ]
    for part in parts:
        encoder.check(part.example_shape, part.modality)
    train, test = (extract_features(encoder, part, workers=workers) for part in parts)
    classes = source.num_classes or len(source.class_names or ())
    return Features(encoder, train, parts[0], test, parts[1], classes, metric, workers)


def unfit(source: Source) -> str:
    """Why a set cannot be transferred to; nothing where it can."""
    if source.test is None:
        return "has no test part"
    parts = (source.train, source.test)
    if any(part.labels is None and part.multi_labels is None for part in parts):
        return "has no labels"
    return ""


def some_of(part: Part, most: int | None) -> Part:
    """At most so many examples, always the same ones."""
    if most is None or len(part) <= most:
        return part
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
    return choose(part, order[:most].sort().values)


def linear(found: Features, *, seed: int, draws: int, told: Told = silent) -> tuple[float, ...]:  # noqa: ARG001
    """The linear probe on all labels: one value.

    Where an image may be of several classes, a probe for each class against all others.
    """
    if found.train_part.multi_labels is not None:
        return (_one_against_rest(found, seed, told),)
    labels = found.train_part.labels
    assert labels is not None
    probe = linear_probe(found.train, labels, num_classes=found.classes, seed=seed, told=told)
    return (_score(found, probe.log_probabilities(found.test).argmax(dim=1)),)


def few(found: Features, *, seed: int, draws: int, told: Told = silent) -> tuple[float, ...]:
    """The linear probe with ten labels a class: a value for each draw of them.

    None where an image may be of several classes, for there the protocol is not defined.
    """
    labels = found.train_part.labels
    if labels is None:
        return ()
    classes = found.classes
    form = choose_form_for_few(
        found.train,
        labels,
        forms(found.train, transforms(found.train)),
        FEW,
        num_classes=classes,
        seed=seed,
        told=within(told, 0.0, 0.5),
    )
    values = []
    for drawn in draw_labels(labels, FEW, draws, seed=seed):
        probe = fit(
            found.train[drawn], labels[drawn], l2=FEW_LABELS_L2, form=form, num_classes=classes
        )
        values.append(_score(found, probe.log_probabilities(found.test).argmax(dim=1)))
    return tuple(values)


def fine_tuned(
    found: Features,
    *,
    seed: int,
    draws: int,
    layer_decay: float = 1.0,
    head_rate: float = 1.0,
    told: Told = silent,
) -> tuple[float, ...]:
    """The whole network trained on with ten labels a class: a value for each draw of them.

    SGD along a cosine, 100 steps each time, at the best of three rates: that which answers most of
    a fifth of the first draw right after learning from the rest of it. Every start is given the
    same draws. A loss that becomes infinite answers nothing right. Not defined where an image may
    be of several classes. `layer_decay` and `head_rate` are those of a `Course`.
    """
    rates = (layer_decay, head_rate)
    labels = found.train_part.labels
    if labels is None:
        return ()
    drawn = draw_labels(labels, FEW, draws, seed=seed)
    asked, learnt = _parted(drawn[0], labels[drawn[0]], seed)
    pieces, scores, values = len(RATES) + draws, [], []
    for place, rate in enumerate(RATES):
        share = within(told, place / pieces, (place + 1) / pieces)
        predicted = _tuned(found, learnt, choose(found.train_part, asked), rate, seed, share, rates)
        scores.append(int((predicted == labels[asked]).sum()))
    best = RATES[max(range(len(RATES)), key=scores.__getitem__)]
    for number, rows in enumerate(drawn):
        place = len(RATES) + number
        share = within(told, place / pieces, (place + 1) / pieces)
        predicted = _tuned(found, rows, found.test_part, best, seed + number, share, rates)
        values.append(_score(found, predicted))
    return tuple(values)


def _parted(
    drawn: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], seed: int
) -> tuple[Int64[Tensor, " asked"], Int64[Tensor, " learnt"]]:
    """A fifth of each class's labels, at least one where there are two, and the others."""
    generator = torch.Generator().manual_seed(seed)
    asked = torch.zeros(len(drawn), dtype=torch.bool)
    for label in torch.unique(labels):
        rows = (labels == label).nonzero().squeeze(1)
        count = max(1, len(rows) // 5) if len(rows) > 1 else 0
        asked[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return drawn[asked], drawn[~asked]


def _tuned(
    found: Features,
    learnt: Int64[Tensor, " n"],
    asked: Part,
    rate: float,
    seed: int,
    told: Told,
    rates: tuple[float, float],
) -> Int64[Tensor, " m"]:
    """What the encoder answers after it was trained on with some labels."""
    layer_decay, head_rate = rates
    course = Course(
        epochs=1,
        least_steps=STEPS,
        batch_size=64,
        learning_rate=rate,
        weight_decay=1e-4,
        layer_decay=layer_decay,
        head_rate=head_rate,
    )
    part = choose(found.train_part, learnt)
    adapted = adapt(
        found.encoder, part, found.classes, course, seed=seed, workers=found.workers, told=told
    )
    return answers(adapted, asked, workers=found.workers)


Protocol = Callable[..., tuple[float, ...]]
PROTOCOLS: Mapping[str, tuple[str, Protocol]] = {
    "linear": ("linear probe", linear),
    "few": (f"{FEW} labels a class", few),
    "fine_tuned": (f"fine-tuned, {FEW} a class", fine_tuned),
}
"""By name: what tables call it, and what reads it from `Features`."""


def _score(found: Features, predictions: Int64[Tensor, " m"]) -> float:
    labels = found.test_part.labels
    assert labels is not None
    if found.metric == "mean_per_class":
        return mean_per_class(predictions, labels, found.classes)
    return float((predictions == labels).double().mean())


def _one_against_rest(found: Features, seed: int, told: Told) -> float:
    """The mean average precision of a binary probe for each class; what is not judged is left out.

    A class that the training part has nothing of, or nothing else than, scores all alike.
    """
    present, truth = found.train_part.multi_labels, found.test_part.multi_labels
    assert present is not None
    assert truth is not None
    scores = torch.zeros(len(found.test), found.classes)
    for each in range(found.classes):
        rows = (present[:, each] != 0).nonzero().squeeze(1)
        labels = (present[rows, each] == 1).long()
        if len(torch.unique(labels)) == 2:
            share = within(told, each / found.classes, (each + 1) / found.classes)
            probe = linear_probe(found.train[rows], labels, num_classes=2, seed=seed, told=share)
            scores[:, each] = probe.log_probabilities(found.test)[:, 1]
    mean = float(voc_precisions(scores, truth).nanmean())
    return mean if math.isfinite(mean) else 0.0


class _Recoloured(StreamedExamples):
    """Streamed images with another number of channels."""

    def __init__(self, examples: StreamedExamples, channels: int) -> None:
        self.examples, self.shape = examples, (channels, *examples.shape[1:])
        self.faults = examples.faults

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Tensor:
        return _recoloured(self.examples[index][None], self.shape[0])[0]


def _in_channels(part: Part, modality: Modality, want: int) -> Part:
    """Grey images in three equal channels, or coloured ones as grey, where the encoder asks so."""
    have = part.example_shape[0]
    if part.modality != "images" or modality != "images" or (have, want) not in ((1, 3), (3, 1)):
        return part
    examples: Examples = part.examples
    if isinstance(examples, StreamedExamples):
        return replace(part, examples=_Recoloured(examples, want))
    return replace(part, examples=_recoloured(examples, want))


def _recoloured(images: Any, channels: int) -> Tensor:
    if channels == 3:
        return images.expand(-1, 3, -1, -1).contiguous()
    weights = torch.tensor(_LUMA).view(3, 1, 1)
    return (images.float() * weights).sum(dim=1, keepdim=True).round().to(torch.uint8)
