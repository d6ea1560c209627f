"""How far a sweep is, over all its runs and workers: a line that moves, and a line for each end."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.glance import last_epoch
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import in_words
from nearfar.sweeps.trials import Trial, best_first
from nearfar.terminal import shown
from nearfar.training.progress import LiveLine, clock

_EVERY_S = 1.0
_PARTS = 1000
"""Steps of the bar for each run."""


class Watch:
    """Looks at a sweep now and then, and tells a person what has changed.

    Args:
        search: Read alone.
        console: Where to.
    """

    def __init__(self, search: Search, console: Console) -> None:
        self._search, self._console = search, console
        self._begun = time.monotonic()
        self._seen: set[tuple[int, int]] = set()
        trials = search.trials()
        self._remember(trials)
        self._before = self.done(trials)
        planned = search.study.planned
        self._total = None if planned is None else planned * len(search.study.seeds)
        self._line = LiveLine(console, _PARTS * (self._total or 1))

    def done(self, trials: list[Trial]) -> float:
        """How many runs are done, parts of runs counted; those of a trial that has ended count."""
        study, count = self._search.study, 0.0
        for trial in trials:
            ended = self._ended(trial)
            count += len(ended)
            for seed in set(study.seeds).difference(ended):
                count += min(1.0, self._epoch(trial, seed) / study.recipe.training.epochs)
        return count

    def look(self) -> None:
        """Tell what has come since the last look."""
        trials = self._search.trials()
        for trial in trials:
            for line in self._news(trial):
                self._console.print(line)
        self._remember(trials)
        if self._line.due():
            self._line.show(*self._said(trials))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again in a thread, until the context is left."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(_EVERY_S):
                try:
                    self.look()
                except NearfarError:  # whoever works on the sweep tells it
                    return

        thread = threading.Thread(target=look, name="watching a sweep", daemon=True)
        with self._line:
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join()
                self.look()

    def _said(self, trials: list[Trial]) -> tuple[int, str, str]:
        """Steps of the bar, what stands before it, and what behind."""
        done = self.done(trials)
        gained = done - self._before
        seconds = time.monotonic() - self._begun
        whole = sum(len(self._ended(trial)) for trial in trials)
        heading = f"{whole} runs" if self._total is None else f"{whole} of {self._total} runs"
        figures = []
        if gained > 0.01:
            figures.append(f"{60 * gained / seconds:.2g} runs/min")
            if whole == self._total:
                figures.append("judging the best")
            elif self._total is not None:
                left = max(0.0, self._total - done) * seconds / gained
                figures.append(f"{clock(left)} left")
        if best := best_first(trials)[:1]:
            figures.append(f"best {100 * (best[0].mean or 0):.1f} % (trial {best[0].number})")
        if running := [trial for trial in trials if trial.state == "running"]:
            figures.append("trial " + ", ".join(str(trial.number) for trial in running[:4]))
        return int(_PARTS * done), heading, " · ".join(figures)

    def _ended(self, trial: Trial) -> list[int]:
        """The seeds of a trial that have come to their end, or never will."""
        seeds = self._search.study.seeds
        return [seed for seed in seeds if trial.state != "running" or seed in trial.checks]

    def _news(self, trial: Trial) -> list[str]:
        """A line for each run that has finished, and for a trial that was ended."""
        lines = []
        for seed, check in trial.checks.items():
            if (trial.number, seed) not in self._seen:
                took = trial.seconds.get(seed)
                time_ = "" if took is None else f", {clock(took)}"
                lines.append(
                    f"done    trial {trial.number}, seed {seed}: {100 * check:.1f} %{time_}  "
                    f"[dim]{shown(in_words(trial.point))}[/dim]"
                )
        if trial.state in ("pruned", "failed") and (trial.number, -1) not in self._seen:
            after = f" after epoch {max(trial.on_the_way)}" if trial.on_the_way else ""
            told = f": {shown(trial.told)}" if trial.state == "failed" else after
            lines.append(
                f"[yellow]{trial.state}[/yellow]  trial {trial.number}{told}  "
                f"[dim]{shown(in_words(trial.point))}[/dim]"
            )
        return lines

    def _remember(self, trials: list[Trial]) -> None:
        for trial in trials:
            for seed in trial.checks:
                self._seen.add((trial.number, seed))
            if trial.state in ("pruned", "failed"):
                self._seen.add((trial.number, -1))

    def _epoch(self, trial: Trial, seed: int) -> float:
        """Epochs that a run has come, by the end of its metrics."""
        folder = self._search.folder.run(trial.number, seed)
        try:
            return last_epoch(folder / names.METRICS)
        except (NearfarError, TypeError, ValueError):
            return 0.0
