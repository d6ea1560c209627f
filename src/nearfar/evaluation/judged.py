"""What a protocol is given to judge, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nearfar.data.source import Part, Source, choose
from nearfar.evaluation.accuracy import LabelledFeatures, shot_groups
from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.features import extract_features, raw_features
from nearfar.evaluation.finished_work import FinishedWork
from nearfar.evaluation.forms import Transform, transforms
from nearfar.evaluation.pictures import PICTURED, thumbnails
from nearfar.evaluation.records import FeatureKind, Record
from nearfar.training.thread_choice import ThreadChoice
from nearfar.views.views import Views

CHOICE_LIMIT = 10_000
"""Training examples at most that a setting is chosen by."""
MOST_SHOWN = 2000
"""Examples on show at most: what a map holds."""

Told = Callable[[str, float], None]
"""Told what is under way, and which share of a piece of work, 0 to 1, is done."""


@runtime_checkable
class Say(Protocol):
    """Told in a few words what is under way, and of long work which share of it is done."""

    def __call__(self, what: str, done: float | None = None) -> None:
        """Told.

        Args:
            what: In a few words.
            done: 0 to 1; None where it cannot be known, or the work is short.
        """
        ...


def silent(what: str, done: float | None = None) -> None:
    """Nobody is told."""


def within(told: Told, begin: float, end: float) -> Told:
    """For a part of a piece of work: its own share becomes that of the whole.

    Args:
        told: Told of the whole.
        begin: Share of the whole that is done when the part begins.
        end: And when it is done.
    """
    return lambda what, done: told(what, begin + (end - begin) * done)


@dataclass(frozen=True)
class Found:
    """What a protocol found.

    Attributes:
        records: One figure each.
        arrays: By name, as in `evaluation.npz`.
        notes: What could not be done as asked, one sentence each.
        answers: `(m,)` predicted class of every test example; None where it predicts none.
    """

    records: Sequence[Record] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()
    answers: Int64[Tensor, " m"] | None = None


class Choice(NamedTuple):
    """Some labelled examples; which of them try a setting, and which judge it.

    Attributes:
        part: The examples.
        labels: Their classes, on the CPU.
        fitting: Rows of `part` to learn from.
        choosing: Rows to choose by, of which none is a near-copy of those.
    """

    part: Part
    labels: Int64[Tensor, " n"]
    fitting: Int64[Tensor, " fitting"]
    choosing: Int64[Tensor, " choosing"]


@dataclass(frozen=True)
class Towers:
    """Both encoders of pairs behind their heads, which make vectors of one space.

    Attributes:
        first: Of the examples.
        second: Of what they are paired with.
    """

    first: nn.Module
    second: nn.Module


@dataclass
class Judged:
    """One kind of features, and all that a protocol may ask for beside them.

    Features and what follows from them are computed when they are first asked for, and once.

    Attributes:
        kind: Which features.
        encoder: On `device`, takes examples as they are; None for the data as they are.
        source: Its training part is the bank and what probes learn from; its test part only judges.
        seed: Of all draws.
        towers: Both encoders of pairs, on `device`; None where there are none.
        views: Of the training; None where they are not known.
        classifier: That the method trained with the encoder, on the CPU; None where it has none.
        device: Where the encoder is.
        batch_size: Examples in a batch.
        workers: Processes that decode streamed images.
        threads: Chooses the thread count while features are taken; None leaves it.
        say: Told what is under way, and how far it has come.
        finished: Long pieces of work that an evaluation which was cut has done already.
        answers: Predicted class of every test example, by the protocol whose right and wrong
            answers are shown; None before it, and where it is left out.
    """

    kind: FeatureKind
    encoder: nn.Module | None
    source: Source
    seed: int = 0
    towers: Towers | None = None
    views: Views | None = None
    classifier: nn.Linear | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch_size: int = 512
    workers: int = 0
    threads: ThreadChoice | None = None
    say: Say = silent
    finished: FinishedWork = field(default_factory=FinishedWork)
    answers: Int64[Tensor, " m"] | None = None

    @property
    def prefix(self) -> str:
        """What the names of arrays begin with: nothing for the encoder, else the kind."""
        return "" if self.kind == "encoder" else f"{self.kind}_"

    @cached_property
    def train(self) -> Float[Tensor, "n dim"]:
        """Features of the training part."""
        return self.taken_of(self.source.train)

    @cached_property
    def test(self) -> Float[Tensor, "m dim"]:
        """Features of the test part; of the training part where there is none."""
        return self.train if self.source.test is None else self.taken_of(self.source.test)

    def of(self, part: Part) -> Float[Tensor, "k dim"]:
        """Features of a part of the source."""
        if part is self.source.train:
            return self.train
        if part is self.source.test:
            return self.test
        if id(part) not in self._others:
            self._others[id(part)] = self.taken_of(part)
        return self._others[id(part)]

    def taken_of(self, part: Part) -> Float[Tensor, "k dim"]:
        """Features of any examples, taken anew: a protocol may bring its own."""
        self.say(f"features of {len(part)} {part.modality}: {self.kind}")
        if self.encoder is None:
            return raw_features(part, self.source.train, workers=self.workers)
        return self._embedded(self.encoder, part)

    @property
    def judging(self) -> Part:
        """The test part; the training part where there is none."""
        return self.source.train if self.source.test is None else self.source.test

    @cached_property
    def embedded_pairs(self) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "m dim"]]:
        """Vectors of the examples that judge, and of all that they are paired with."""
        assert self.towers is not None
        assert self.judging.partners is not None
        paired = self.judging.partners.used().as_part()
        return self._embedded(self.towers.first, self.judging), self.of_second(paired)

    def of_second(self, part: Part) -> Float[Tensor, "n dim"]:
        """Vectors of a part of the kind that the examples are paired with."""
        assert self.towers is not None
        return self._embedded(self.towers.second, part)

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """The forms that features may be judged in, fitted on the training part without labels."""
        test = self.source.test
        if self.source.train.labels is None or test is None or test.labels is None:
            return transforms(self.train)
        return self.labelled.transforms

    @cached_property
    def _others(self) -> dict[int, Tensor]:
        return {}

    @cached_property
    def choice(self) -> Choice:
        """Training examples to choose a setting by, where each try takes examples themselves."""
        train = self.source.train
        draws = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(train), generator=draws)
        some = choose(train, order[:CHOICE_LIMIT].sort().values)
        assert some.labels is not None
        labels = some.labels.cpu()
        raw = raw_features(some, some, workers=self.workers)
        return Choice(some, labels, *choice_split(raw, labels, limit=CHOICE_LIMIT, seed=self.seed))

    @cached_property
    def labelled(self) -> LabelledFeatures:
        """Features of both parts with their labels, for a protocol that needs them."""
        assert self.source.test is not None
        train, test = self.source.train.labels, self.source.test.labels
        classes = self.source.num_classes
        assert train is not None
        assert test is not None
        assert classes is not None
        counts = torch.bincount(train.cpu(), minlength=classes)
        groups = shot_groups(counts, test.cpu())
        return LabelledFeatures(
            self.kind, self.train, train.cpu(), self.test, test.cpu(), classes, groups
        )

    @cached_property
    def shown_rows(self) -> Int64[Tensor, " s"]:
        """Examples on show, drawn: the first ones of a folder would be of few classes."""
        draws = torch.Generator().manual_seed(self.seed)
        return torch.randperm(len(self.judging), generator=draws)[:MOST_SHOWN].sort().values

    @cached_property
    def shown(self) -> Part:
        """The examples on show, of the test part; of the training part where there is none."""
        return choose(self.judging, self.shown_rows)

    @property
    def shown_answers(self) -> Int64[Tensor, " s"] | None:
        """The answers to the examples on show."""
        return None if self.answers is None else self.answers[self.shown_rows]

    @cached_property
    def shown_arrays(self) -> dict[str, np.ndarray]:
        """The examples on show with their labels and answers; not all have a picture.

        Beside the encoder's, other features add their answers alone.
        """
        arrays: dict[str, np.ndarray] = {}
        if self.shown_answers is not None:
            arrays[f"{self.prefix}shown_predictions"] = self.shown_answers.numpy()
        if self.kind != "encoder":
            return arrays
        if self.shown.modality in PICTURED:
            arrays["shown_images"] = thumbnails(self.shown, self.workers)
        if self.shown.labels is not None:
            arrays["shown_labels"] = self.shown.labels.numpy()
        return arrays

    def _embedded(self, encoder: nn.Module, part: Part) -> Tensor:
        return extract_features(
            encoder,
            part,
            device=self.device,
            batch_size=self.batch_size,
            workers=self.workers,
            threads=self.threads,
        )
