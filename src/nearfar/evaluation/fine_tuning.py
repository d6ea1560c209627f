"""Fine-tuning: the whole encoder, or its later stages, trained on with some of the labels."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import Part, choose
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.stages import tells_layers
from nearfar.evaluation.accuracy import shot_groups
from nearfar.evaluation.adapting import Course, adapt, answers
from nearfar.evaluation.finished_work import FinishedWork, fingerprint
from nearfar.evaluation.judged import Found, Judged, Told, within
from nearfar.evaluation.label_draws import draws_of
from nearfar.evaluation.records import FEATURE_NAMES, Record, over_draws
from nearfar.evaluation.trained_specs import FineTuningSpec


@dataclass(frozen=True)
class _Work:
    """All that the fits of one start share."""

    spec: FineTuningSpec
    judged: Judged
    encoder: SavedEncoder
    classes: int
    kept: FinishedWork
    about: str

    def answers(
        self, course: Course, part: Part, asked: Part, seed: int, told: Told
    ) -> Int64[Tensor, " n"]:
        """What a classifier that learnt from one part answers on another; each fit once."""
        judged = self.judged

        def fit() -> list[int]:
            adapted = adapt(
                self.encoder,
                part,
                self.classes,
                course,
                views=judged.views if self.spec.augment else None,
                seed=seed,
                device=judged.device,
                workers=judged.workers,
                told=told,
            )
            found = answers(adapted, asked, device=judged.device, workers=judged.workers)
            return found.tolist()

        key = fingerprint(self.about, course, seed, part.labels, asked.labels)
        return torch.tensor(self.kept.once(key, fit), dtype=torch.int64)


def judge(spec: FineTuningSpec, judged: Judged) -> Found:
    """Accuracies over draws of labels, from the encoder's weights or from the untrained ones."""
    encoder, source = judged.encoder, judged.source
    if not isinstance(encoder, SavedEncoder):
        return Found(notes=["fine-tuning left out: this encoder is no network that can be trained"])
    if spec.layer_decay != 1 and not tells_layers(encoder.backbone):
        return Found(
            notes=[
                f"fine-tuning left out: {encoder.config.name} does not tell its layers, as "
                f"{spec.room}layer_decay {spec.layer_decay:g} asks: leave that at 1"
            ]
        )
    assert source.test is not None
    assert source.num_classes is not None
    assert source.train.labels is not None
    assert source.test.labels is not None
    labels, truth = source.train.labels.cpu(), source.test.labels.cpu()
    groups = shot_groups(torch.bincount(labels, minlength=source.num_classes), truth)
    about = fingerprint(source_fingerprint(source), spec.augment, encoder)
    work = _Work(spec, judged, encoder, source.num_classes, judged.finished, about)
    records: list[Record] = []
    notes: list[str] = []
    for place, asked in enumerate(spec.labels):
        rows = draws_of(labels, asked, spec.draws, seed=judged.seed)
        told = _of_labels(judged, asked, place / len(spec.labels), 1 / len(spec.labels))
        if len(torch.unique(labels[rows[0]])) < 2:
            notes.append(f"fine-tuning with {asked} of the labels left out: they are of one class")
            continue
        course = _chosen(work, asked, within(told, 0.0, 0.5))
        right, lost = [], 0
        for number, drawn in enumerate(rows):
            begin = 0.5 + number / spec.draws / 2
            said = within(told, begin, begin + 0.5 / spec.draws)
            found = work.answers(
                course, choose(source.train, drawn), source.test, judged.seed + number, said
            )
            lost += int(bool((found < 0).any()))
            right.append(found == truth)
        parameters = {
            "labels": asked,
            "labelled": len(rows[0]),
            "draws": spec.draws,
            "learning_rate": course.learning_rate,
            "weight_decay": course.weight_decay,
            "frozen": "nothing" if spec.freeze is None else str(spec.freeze),
            **_rates(spec),
        }
        records.append(_record(judged, right, parameters))
        records += [
            _record(judged, [each[group.test] for each in right], parameters | group.parameters)
            for group in groups
        ]
        if lost:
            notes.append(
                f"fine-tuning of {FEATURE_NAMES[judged.kind]} with {asked} of the labels: the loss "
                f"became infinite in {lost} of {spec.draws} draws, which count as wrong"
            )
    return Found(records, notes=notes)


def _rates(spec: FineTuningSpec) -> dict[str, float]:
    """Rates of layers and classifier where they are other than the learning rate."""
    rates = {"layer_decay": spec.layer_decay, "head_rate": spec.head_rate}
    return {name: rate for name, rate in rates.items() if rate != 1}


def _record(judged: Judged, right: list[Bool[Tensor, " m"]], parameters: dict[str, Any]) -> Record:
    values = [float(each.double().mean()) for each in right]
    mean, sd = over_draws(values)
    told = {**parameters, "values": values}
    return Record("fine_tuning", judged.kind, "top1", mean, len(right[0]), sd, told)


def _of_labels(judged: Judged, asked: str, begin: float, share: float) -> Told:
    """Says of how many labels, and how much of all is done."""
    return lambda what, done: judged.say(
        f"fine-tuning: {judged.kind}, {asked} of the labels, {what}", begin + share * done
    )


def _chosen(work: _Work, asked: str, told: Told) -> Course:
    """The rate, and then the decay, that err least on a part of the training data.

    As many labels as are asked for are drawn from four fifths of at most 10 000 training examples,
    and the last fifth, which holds no near-copy of them, judges. This looks at more labels than the
    fits have; every start is given the same. Of equals the first wins.
    """
    spec, judged = work.spec, work.judged
    base = Course(
        epochs=spec.epochs,
        least_steps=spec.least_steps,
        batch_size=spec.batch_size,
        learning_rate=spec.learning_rates[0],
        weight_decay=spec.weight_decays[0],
        freeze=spec.freeze,
        layer_decay=spec.layer_decay,
        head_rate=spec.head_rate,
    )
    rates = [replace(base, learning_rate=rate) for rate in spec.learning_rates]
    tries = len(spec.learning_rates) + len(spec.weight_decays) - 1
    if tries == 1:
        return base
    some, labels, fitting, choosing = judged.choice
    (drawn,) = draws_of(labels[fitting], asked, 1, seed=judged.seed)
    learnt = fitting[drawn]
    if not len(choosing) or len(torch.unique(labels[learnt])) < 2:
        return rates[len(rates) // 2]
    score = _scored(work, choose(some, learnt), choose(some, choosing), tries, told)
    best = max(rates, key=score)
    decays = [replace(best, weight_decay=decay) for decay in spec.weight_decays]
    return max(decays, key=score)


def _scored(
    work: _Work, learnt: Part, asked: Part, tries: int, told: Told
) -> Callable[[Course], int]:
    """Counts what a course gets right; the same one is run once."""
    known: dict[Course, int] = {}
    counted = itertools.count()

    def score(course: Course) -> int:
        if course not in known:
            place = next(counted)
            words = f"trying rate {course.learning_rate:g}, decay {course.weight_decay:g}, "
            share = within(told, place / tries, (place + 1) / tries)
            found = work.answers(
                course,
                learnt,
                asked,
                work.judged.seed,
                lambda what, done: share(words + what, done),
            )
            assert asked.labels is not None
            known[course] = int((found == asked.labels.cpu()).sum())
        return known[course]

    return score
