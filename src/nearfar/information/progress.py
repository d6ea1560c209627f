"""What a person watches while critics are trained."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from nearfar.training.progress import clock

_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0


class EstimationProgress:
    """Shows the bound, its value on validation, steps a second and the most time that is left.

    Early stopping may end any bound before its last step, so the time left is an upper limit.

    Args:
        console: Where to; None shows nothing.
        bounds: How many are trained.
        max_steps: Steps of each at most.
    """

    def __init__(self, console: Console | None, bounds: int, max_steps: int) -> None:
        self._console = console
        self._bounds = bounds
        self._max_steps = max_steps
        self._begun_bounds = self._steps = 0
        self._title = ""
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.fields[bound]}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                console=console,
                auto_refresh=False,
                expand=True,
                transient=True,
            )
            self._task = self._bar.add_task("", total=bounds * max_steps, bound="", figures="")

    def __enter__(self) -> "EstimationProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, title: str) -> None:
        """The next bound.

        Args:
            title: Its name, for a person.
        """
        self._begun_bounds += 1
        self._title = f"{title} ({self._begun_bounds}/{self._bounds})"

    def step(self, step: int, value: float) -> None:
        """Show that `step` steps of this bound are taken, as often as a person can follow.

        Args:
            step: From 1.
            value: Last estimate on the validation part, in nats.
        """
        self._steps += 1
        if self._console is None:
            return
        now = time.monotonic()
        every = _LINE_SECONDS if self._bar is None else _REDRAW_SECONDS
        if now - self._shown < every:
            return
        self._shown = now
        rate = self._steps / max(now - self._started, 1e-9)
        left = (self._bounds - self._begun_bounds + 1) * self._max_steps - step
        figures = (
            f"{value:.2f} nats on validation · {rate:,.0f} steps/s · "
            f"at most {clock(left / rate)} left"
        )
        if self._bar is None:
            at = f"step {step}/{self._max_steps}"
            self._console.print(Text(f"{self._title} · {at} · {figures}"), soft_wrap=True)
        else:
            done = (self._begun_bounds - 1) * self._max_steps + step
            self._bar.update(self._task, completed=done, bound=self._title, figures=figures)
            self._bar.refresh()
