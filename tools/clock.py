"""About how long a long work still takes, and when to say so again."""

import time
from collections.abc import Callable

_SAID_EVERY_S = 300.0


class Clock:
    """How fast a work goes since the clock was made; the caller counts what is done, in any unit.

    Args:
        total: All that is to be done from now on.
        now: Seconds; a test brings its own.
    """

    def __init__(self, total: float, now: Callable[[], float] = time.monotonic) -> None:
        self._total, self._now = total, now
        self._begun = self._said = now()

    def rate(self, done: float) -> float:
        """What is done in a second, on average."""
        return done / max(self._now() - self._begun, 1e-9)

    def left(self, done: float) -> str:
        """How long the rest takes at that speed, in words.

        Args:
            done: Above 0: before, nothing can be said.
        """
        minutes = max(self._total - done, 0) / self.rate(done) / 60
        if minutes < 1:
            return "less than a minute left"
        return f"about {minutes // 60:.0f} h {minutes % 60:.0f} min left"

    def leave(self, amount: float) -> None:
        """So much of the total is not to be done: someone else has."""
        self._total -= amount

    def due(self) -> bool:
        """Whether it is time to say something again where no line can move: every five minutes."""
        if self._now() - self._said < _SAID_EVERY_S:
            return False
        self._said = self._now()
        return True
