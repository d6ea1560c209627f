"""How far a sweep is: a line that moves, a line for each end, a page that is kept up to it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.glance import last_epoch
from nearfar.sweeps.progress import Pace, Progress, in_words, progress
from nearfar.sweeps.results import write_page
from nearfar.sweeps.search import Search
from nearfar.sweeps.study import in_words as point_in_words
from nearfar.sweeps.trials import Trial, best_first
from nearfar.terminal import shown
from nearfar.training.progress import LiveLine, clock

_EVERY_S = 1.0
_PAGE_EVERY_S = 60.0
_PAGE_SHARE = 0.01
"""Of the time, at most, that writing pages takes."""
_PARTS = 1000
"""Steps of the bar for the whole sweep."""


class Watch:
    """Looks at a sweep now and then, tells a person what has changed, and keeps its page so.

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
        found = self.progress(trials)
        self._before = found.whole
        self._pace = Pace(found)
        self._line = LiveLine(console, _PARTS)
        self._page_due, self._on_page = 0.0, -1.0

    def progress(self, trials: list[Trial]) -> Progress:
        """How far the sweep is."""
        return progress(self._search.study, trials, self._epoch)

    def look(self) -> None:
        """Tell what has come since the last look."""
        trials = self._search.trials()
        for trial in trials:
            for line in self._news(trial):
                self._console.print(line)
        self._remember(trials)
        line_due = self._line.due()
        page_due = time.monotonic() >= self._page_due
        if line_due or page_due:
            found = self.progress(trials)
            left = self._pace.left(found)
            if line_due:
                self._line.show(
                    int(_PARTS * found.share), found.text, self._said(trials, found, left)
                )
            if page_due:
                self._write_page(found, left)

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
                self._page_due = float("inf")  # the last page follows
                self.look()

    def _said(self, trials: list[Trial], found: Progress, left: float | None) -> str:
        """What stands behind the bar."""
        figures = []
        if found.whole > self._before:
            minutes = (time.monotonic() - self._begun) / 60
            figures.append(f"{(found.whole - self._before) / minutes:.2g} runs/min")
        if found.whole == found.total:
            figures.append("judging the best")
        elif left is not None:
            figures.append(f"{clock(left)} left")
        if best := best_first(trials)[:1]:
            figures.append(f"best {100 * (best[0].mean or 0):.1f} % (trial {best[0].number})")
        if running := [trial for trial in trials if trial.state == "running"]:
            figures.append("trial " + ", ".join(str(trial.number) for trial in running[:4]))
        return " · ".join(figures)

    def _write_page(self, found: Progress, left: float | None) -> None:
        """Write the page as far as the sweep is, unless it stands so already."""
        begun = time.monotonic()
        place = found.whole + found.share
        if place != self._on_page:
            as_of = time.strftime("%H:%M on %-d %B")
            with suppress(NearfarError):  # tried again; of the last page, which follows, it is told
                write_page(self._search, f"Under way at {as_of}: {in_words(found, left)}.")
                self._on_page = place
        now = time.monotonic()
        self._page_due = begun + max(_PAGE_EVERY_S, (now - begun) / _PAGE_SHARE)

    def _news(self, trial: Trial) -> list[str]:
        """A line for each run that has finished, and for a trial that was ended."""
        lines = []
        for seed, check in trial.checks.items():
            if (trial.number, seed) not in self._seen:
                took = trial.seconds.get(seed)
                time_ = "" if took is None else f", {clock(took)}"
                lines.append(
                    f"done    trial {trial.number}, seed {seed}: {100 * check:.1f} %{time_}  "
                    f"[dim]{shown(point_in_words(trial.point))}[/dim]"
                )
        if trial.state in ("pruned", "failed") and (trial.number, -1) not in self._seen:
            after = f" after epoch {max(trial.on_the_way)}" if trial.on_the_way else ""
            told = f": {shown(trial.told)}" if trial.state == "failed" else after
            lines.append(
                f"[yellow]{trial.state}[/yellow]  trial {trial.number}{told}  "
                f"[dim]{shown(point_in_words(trial.point))}[/dim]"
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
