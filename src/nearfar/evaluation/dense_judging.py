"""What depth and segmentation share: heads are fitted, and their answers counted image by image."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nearfar.data.batches import evaluation_batches
from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import choose
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError
from nearfar.evaluation.dense_heads import (
    Course,
    DenseHead,
    FrozenMaps,
    Loss,
    Places,
    Task,
    best_rate,
    gathered,
    train_heads,
    train_whole,
)
from nearfar.evaluation.dense_metrics import Figure
from nearfar.evaluation.dense_specs import DenseSpec, HeadKind, Trained
from nearfar.evaluation.features import frozen
from nearfar.evaluation.finished_work import fingerprint
from nearfar.evaluation.judged import Found, Judged, Told, within
from nearfar.evaluation.pictures import THUMBNAIL_SIDE, thumbnails
from nearfar.evaluation.records import Record

Count = Callable[[Tensor, Tensor], Tensor]
"""Of a head's outputs and the true maps: what counts of each image, a row each."""
MAPS_SHOWN = 6
"""Test images whose maps are kept to be shown."""


class Fit(NamedTuple):
    """What came of one head.

    Attributes:
        parameters: Of its records.
        counted: What counts of each test image, a row each.
        shown: Its answers for the images on show, `(n, height, width)`, small.
    """

    parameters: dict[str, Any]
    counted: Tensor
    shown: Tensor


class Dense:
    """The fits of one protocol on one kind of features.

    Args:
        spec: The protocol's settings.
        judged: What is judged.
        loss: What heads learn by.
        outputs: A pixel's.
        answer: Of a head's outputs: its answer for each pixel, `(batch, height, width)`.
        count: What counts of answers.
        about: What else decides the fits, for their checksum.
    """

    def __init__(
        self,
        spec: DenseSpec,
        judged: Judged,
        loss: Loss,
        outputs: int,
        answer: Callable[[Tensor], Tensor],
        count: Count,
        about: Any,
    ) -> None:
        self.spec, self.judged, self.answer, self.count = spec, judged, answer, count
        encoder = judged.encoder
        assert encoder is None or isinstance(encoder, SavedEncoder)
        self.places = Places(encoder, spec.stage, spec.raw_patch)
        train = judged.source.train
        targets = getattr(train, spec.targets)
        self.task = Task(
            train.examples, targets, loss, outputs, judged.device, workers=judged.workers
        )
        assert judged.source.test is not None
        self.test = judged.source.test
        count_shown = min(MAPS_SHOWN, len(self.test))
        self.on_show = torch.linspace(0, len(self.test) - 1, count_shown).round().long()
        self.about = fingerprint(
            source_fingerprint(judged.source), spec, judged.seed, about, count_shown
        )
        self._maps: FrozenMaps | None = None

    @property
    def maps(self) -> FrozenMaps:
        """Of the training part; computed when they are first needed."""
        if self._maps is None:
            self.judged.say(f"{self.spec.name}: features by place: {self.judged.kind}")
            self._maps = FrozenMaps(self.places, self.task)
        return self._maps

    def found(self) -> list[Fit]:
        """For each head and what was trained, frozen encoders first."""
        wanted: list[tuple[HeadKind, Trained]] = [(head, "head") for head in self.spec.heads]
        several = len(self.task.images) > 1  # batch-norm learns nothing of one place of one image
        if self.spec.whole_network and self.judged.encoder is not None and several:
            wanted.extend((head, "all") for head in self.spec.heads)
        told = []
        for place, (head, trained) in enumerate(wanted):
            share = within(self._say, place / len(wanted), (place + 1) / len(wanted))
            told.append(self._fitted(head, trained, share))
        return told

    def _say(self, what: str, done: float) -> None:
        self.judged.say(f"{self.spec.name}: {self.judged.kind}, {what}", done)

    def shown(self, fits: Sequence[Fit]) -> dict[str, np.ndarray]:
        """Some test images, their true maps, and the answers of the first head; small, by name."""
        truth = smaller_maps(gathered(getattr(self.test, self.spec.targets), self.on_show))
        name = self.spec.name
        return {
            f"{name}_images": thumbnails(choose(self.test, self.on_show)),
            f"{name}_truth": truth.numpy(),
            f"{self.judged.prefix}{name}_answers": fits[0].shown.to(truth.dtype).numpy(),
        }

    def _fitted(self, head: HeadKind, trained: Trained, told: Told) -> Fit:
        def fit() -> dict[str, Any]:
            rate, (counted, shown) = self._fit(head, trained, told)
            return {"rate": rate, "counted": counted.tolist(), "shown": shown.tolist()}

        encoder = "raw" if self.judged.encoder is None else self.judged.encoder
        key = fingerprint(self.about, head, trained, encoder)
        done = self.judged.finished.once(key, fit)
        parameters: dict[str, Any] = {"head": head, "trained": trained}
        if self.spec.stage != -1 and self.judged.kind != "raw":
            parameters["stage"] = self.spec.stage
        parameters["learning_rate"] = done["rate"]
        counted = torch.tensor(done["counted"], dtype=torch.float64)
        return Fit(parameters, counted, torch.tensor(done["shown"]))

    def _fit(
        self, head: HeadKind, trained: Trained, told: Told
    ) -> tuple[float, tuple[Tensor, Tensor]]:
        spec, seed = self.spec, self.judged.seed
        rates = spec.learning_rates if trained == "head" else (spec.network_rate,)
        courses = [Course(spec.epochs, spec.batch_size, rate, spec.weight_decay) for rate in rates]
        name = f"{head} head" + (", whole network" if trained == "all" else "")
        if trained == "all":
            places, fitted = train_whole(
                self.places, self.maps, head, courses[0], seed=seed, told=_named(told, name)
            )
            return courses[0].rate, self._counted(places, fitted)
        course = best_rate(
            self.maps,
            head,
            courses,
            seed=seed,
            told=_named(within(told, 0.0, 0.5), f"{name}, trying rates"),
        )
        rows = torch.arange(len(self.task.images))
        (fitted,) = train_heads(
            self.maps, head, [course], rows, seed=seed, told=_named(within(told, 0.5, 1.0), name)
        )
        return course.rate, self._counted(self.places, fitted)

    def _counted(self, places: Places, head: DenseHead) -> tuple[Tensor, Tensor]:
        """What counts of each test image, and the answers for those on show, small."""
        device = self.judged.device
        targets = getattr(self.test, self.spec.targets)
        batches = evaluation_batches(
            self.test.examples, batch_size=64, device=device, workers=self.judged.workers
        )
        rows, shown = [], []
        with frozen(places):
            for images, indices in batches:
                outputs = head(places(images))
                if not bool(torch.isfinite(outputs).all()):
                    raise NearfarError(
                        f"{self.spec.name}: a head on {self.judged.kind} features gives no finite "
                        f"answers: lower {self.spec.room}learning_rates"
                    )
                rows.append(self.count(outputs, gathered(targets, indices).to(device)).cpu())
                chosen = torch.isin(indices.cpu(), self.on_show)
                shown.append(smaller_maps(self.answer(outputs[chosen.to(device)]).cpu()))
        # Copies, for what inference mode makes takes part in nothing else.
        return torch.cat(rows).clone(), torch.cat(shown).clone()

    def record(self, name: str, figure: Figure, parameters: dict[str, Any], images: int) -> Record:
        """A figure with all that says what it is."""
        told = dict(parameters)
        if figure.standard_error is not None:
            told["standard_error"] = figure.standard_error
        return Record(name, self.judged.kind, "mean", figure.value, images, parameters=told)


def smaller_maps(maps: Tensor) -> Tensor:
    """Every so many pixel of maps `(n, height, width)`, so that no side exceeds a thumbnail's."""
    sides = maps.shape[1:]
    factor = min(1.0, THUMBNAIL_SIDE / max(sides))
    down, across = (
        ((torch.arange(count := max(1, round(side * factor))) + 0.5) * side / count).long()
        for side in sides
    )
    return maps[:, down][:, :, across]


def _named(told: Told, name: str) -> Told:
    return lambda what, done: told(f"{name}, {what}", done)


def why_not(spec: DenseSpec, judged: Judged) -> Found | None:
    """A note where the encoder has no maps, or the test part nothing to judge by; else None."""
    test = judged.source.test
    if test is None or getattr(test, spec.targets) is None:
        return Found(notes=[f"{spec.name} left out: no test part with {spec.targets}"])
    if judged.encoder is None:
        return None
    name = spec.name
    if not isinstance(judged.encoder, SavedEncoder):
        return Found(notes=[f"{name} left out: this encoder is none that gives features by place"])
    try:
        shape = judged.encoder.shape
        with frozen(judged.encoder):
            judged.encoder.dense(
                torch.zeros(1, *shape, dtype=torch.uint8, device=judged.device), spec.stage
            )
    except NearfarError as error:
        return Found(notes=[f"{name} left out: {error}"])
    return None
