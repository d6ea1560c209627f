"""What a person watches while critics are trained."""

import time

from rich.console import Console

from nearfar.training.live_line import LiveLine
from nearfar.training.progress import clock


class EstimationProgress:
    """Shows the bound, its value on validation, steps a second and the most time that is left.

    Early stopping may end any bound before its last step, so the time left is an upper limit.
    """

    def __init__(self, console: Console | None, bounds: int, max_steps: int) -> None:
        self._bounds = bounds
        self._max_steps = max_steps
        self._begun_bounds = self._steps = 0
        self._title = ""
        self._started = time.monotonic()
        self._line = LiveLine(console, bounds * max_steps, transient=True)

    def __enter__(self) -> "EstimationProgress":
        self._line.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._line.__exit__(*raised)

    def begin(self, title: str) -> None:
        """The next bound."""
        self._begun_bounds += 1
        self._title = f"{title} ({self._begun_bounds}/{self._bounds})"

    def step(self, step: int, value: float) -> None:
        """Show that `step` steps of this bound are taken, as often as a person can follow."""
        self._steps += 1
        if not self._line.due():
            return
        rate = self._steps / max(time.monotonic() - self._started, 1e-9)
        done = (self._begun_bounds - 1) * self._max_steps + step
        left = self._bounds * self._max_steps - done
        self._line.show(
            done,
            f"{self._title} · step {step}/{self._max_steps}",
            f"{value:.2f} nats on validation · {rate:,.0f} steps/s · "
            f"at most {clock(left / rate)} left",
        )
