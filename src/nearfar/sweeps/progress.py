"""How far a sweep is, and how long the rest takes, where runs differ in epochs and batch size."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

from nearfar.sweeps.study import Point, Study
from nearfar.sweeps.trials import Trial
from nearfar.training.progress import clock

Epochs = Mapping[int, float]
"""Epochs by batch size: of one size, each takes about as long as another."""
_LEAST = 0.002
"""Share of the work that must be done before a time is told."""
_BETWEEN_MARKS = 0.005
"""Of the sitting so far: weeks of it are remembered by as few marks as minutes."""


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes:
        whole: Runs that have ended.
        total: Runs that there will be; None where the time alone decides.
        done: Epochs that are done, or never will be.
        left: Those that are to come; empty where there is no total.
        cost: How long an epoch takes against others, by batch size.
    """

    whole: int
    total: int | None
    done: Epochs
    left: Epochs
    cost: Epochs

    @property
    def text(self) -> str:
        """The runs in words."""
        return f"{self.whole} runs" if self.total is None else f"{self.whole} of {self.total} runs"

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 to 1; 0 where there is no total."""
        if self.total is None:
            return 0.0
        return self.work(self.done) / (self.work(self.done) + self.work(self.left))

    def work(self, epochs: Epochs) -> float:
        """How long epochs take, against others."""
        return sum((self.cost[batch] * count for batch, count in epochs.items()), 0.0)


def ended_seeds(study: Study, trial: Trial) -> list[int]:
    """The seeds of a trial that have come to their end, or never will."""
    return [seed for seed in study.seeds if trial.state != "running" or seed in trial.checks]


def progress(
    study: Study, trials: Sequence[Trial], epochs_done: Callable[[Trial, int], float]
) -> Progress:
    """How far a sweep is, the parts of runs counted.

    Args:
        study: Of the sweep.
        trials: All that have begun.
        epochs_done: Epochs that the run of a trial and seed has come to.
    """
    whole, seeds = 0, len(study.seeds)
    done: defaultdict[int, float] = defaultdict(float)
    left: defaultdict[int, float] = defaultdict(float)
    for trial in trials:
        epochs, batch = _length(study, trial.point)
        ended = ended_seeds(study, trial)
        whole += len(ended)
        came = epochs * len(ended)
        for seed in set(study.seeds).difference(ended):
            came += min(epochs, epochs_done(trial, seed))
        done[batch] += came
        left[batch] += epochs * seeds - came
    if study.planned is not None:
        for point, count in _to_come(study, trials, study.planned - len(trials)):
            epochs, batch = _length(study, point)
            left[batch] += epochs * seeds * count
    total = None if study.planned is None else study.planned * seeds
    return Progress(whole, total, done, left, _cost(study, trials, {*done, *left}))


def _to_come(study: Study, trials: Sequence[Trial], count: int) -> Iterable[tuple[Point, float]]:
    """The points that are still to be tried, and how often each; what is drawn is like what was."""
    if not study.engine.draws:
        return [(point, 1.0) for point in islice(study.grid(), len(trials), study.planned)]
    points = [trial.point for trial in trials] or [{}]
    return [(point, max(0, count) / len(points)) for point in points]


def _cost(study: Study, trials: Sequence[Trial], batches: Iterable[int]) -> Epochs:
    """Seconds of an epoch by batch size, as finished runs took; of a new size, as of all."""
    held: dict[int, list[float]] = {}
    for trial in trials:
        epochs, batch = _length(study, trial.point)
        held.setdefault(batch, []).extend(took / epochs for took in trial.seconds.values())
    means = {batch: fmean(seconds) for batch, seconds in held.items() if any(seconds)}
    of_all = fmean(means.values()) if means else 1.0
    return {batch: means.get(batch, of_all) for batch in batches}


def _length(study: Study, point: Point) -> tuple[float, int]:
    """Epochs and batch size of a run."""
    training = study.recipe.training
    epochs = point.get("training.epochs", training.epochs)
    batch = point.get("training.batch_size", training.batch_size)
    assert isinstance(epochs, int | float)
    assert isinstance(batch, int | float)
    return float(epochs), int(batch)


class Pace:
    """How long the rest takes, as fast as the later half of this sitting went.

    So neither the first minute, in which processes start, counts, nor what was beside it long ago.

    Args:
        before: How far the sweep was when the sitting began.
        now: Seconds; a test brings its own.
    """

    def __init__(self, before: Progress, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._first = before.done
        self._marks = [(self._begun, before.done)]

    def left(self, found: Progress) -> float | None:
        """Seconds until all is done; None where too little is known.

        Args:
            found: How far the sweep is now.
        """
        now = self._now()
        middle = (self._begun + now) / 2
        while len(self._marks) > 1 and self._marks[1][0] <= middle:
            self._marks.pop(0)
        since, before = self._marks[0]
        if now - self._marks[-1][0] >= _BETWEEN_MARKS * (now - self._begun):
            self._marks.append((now, found.done))
        work, left = found.work(found.done), found.work(found.left)
        gained = work - found.work(before)
        if found.total is None or gained <= 0:
            return None
        if work - found.work(self._first) < _LEAST * (work + left):
            return None
        return left * (now - since) / gained


def in_words(found: Progress, left: float | None) -> str:
    """How far a sweep is, for a page: `3 of 12 runs are done, about 1:20:00 left`."""
    told = f"{found.text} are done"
    return told if left is None else f"{told}, about {clock(left)} left"
