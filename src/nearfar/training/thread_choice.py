"""How many threads a CPU computes with: as many as are fastest in a few measured steps."""

import math
import os
import statistics
import time
from collections import deque
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits

from nearfar.training.hardware import threads_in_words

Work = Callable[[], object]

_SET_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_STEPS, _SECONDS = 3, 1.0
"""A count is measured over so many steps, or for so long if they take longer."""
_CLEARLY_SLOWER = 1.25
"""A count that takes so many times as long as the best ends the search for fewer threads."""
_TIE = 1.05
"""Counts this close are alike: the smaller one leaves more of the machine to others."""
_WINDOW = 5
"""Steps whose median tells how fast the work runs."""
_FALL = 2.0
"""Steps that take so many times as long as they did are reason to look again."""
_SHARE_AFTER_A_FALL, _SHARE = 0.1, 0.01
"""Most of the time that looking takes: after a fall, and to see whether cores are free again."""


class ThreadChoice:
    """Chooses torch's thread count by measured steps, and looks again when the machine changes.

    The threads of a convolution wait for each other thousands of times a second. While another
    program holds one's core, all the others wait: two threads beside a busy process were measured
    at a thirtieth of the speed of one. So the count is measured, with steps whose results are
    thrown away: at the start; when steps take twice as long as they did; and now and then while
    fewer threads are used than there are, in case cores have become free.

    Nothing is measured where the user has set a count (`OMP_NUM_THREADS` or `MKL_NUM_THREADS` in
    the environment, or `threads`), on a GPU, among several ranks, or where torch has one thread.
    As a context it hands torch's count back as it was.

    Args:
        threads: The count to use; None measures.
        alone: Whether this process is the only rank.
        say: Tells a person, in one line, that the count changes, and why.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        threads: int | None = None,
        alone: bool = True,
        say: Callable[[str], None],
    ) -> None:
        self._most = torch.get_num_threads()
        self._fixed = threads
        self._say = say
        self.measured = (
            threads is None
            and alone
            and device.type == "cpu"
            and self._most > 1
            and not any(os.environ.get(name) for name in _SET_BY_USER)
        )
        self._looked: float | None = None
        self._cost = 0.0
        self._forget()

    def __enter__(self) -> "ThreadChoice":
        self._limits = threadpool_limits(limits=None)
        if self._fixed is not None:
            _compute_with(self._fixed)
        return self

    def __exit__(self, *raised: object) -> None:
        self._limits.restore_original_limits()
        torch.set_num_threads(self._most)

    def keep(self, threads: int) -> bool:
        """Begin with a count that was chosen before, without measuring.

        Args:
            threads: What a checkpoint was computed with.

        Returns:
            Whether it is kept: a count that the user set goes first, and torch may have fewer now.
        """
        if self.measured and threads <= self._most:
            _compute_with(threads)
            self._looked = time.monotonic()
        return torch.get_num_threads() == threads

    def before_step(self, make_work: Callable[[], Work]) -> None:
        """Measure, if it is time to; then the step's own time begins.

        Args:
            make_work: Gives what is measured: a function like a step, that changes nothing.
        """
        if self.measured and self._is_due():
            self.look(make_work())
        self._begun = time.monotonic()

    def after_step(self) -> None:
        """Take down how long the step took."""
        self._times.append(time.monotonic() - self._begun)
        if len(self._times) == _WINDOW:
            self._best = min(self._best, statistics.median(self._times))

    def _is_due(self) -> bool:
        if self._looked is None:
            return True
        since = time.monotonic() - self._looked
        if len(self._times) == _WINDOW and statistics.median(self._times) > _FALL * self._best:
            return self._cost < _SHARE_AFTER_A_FALL * since
        # A count that was kept and never measured stays: the bits of a resumed run depend on it.
        kept = self._cost == 0
        fewer = torch.get_num_threads() < self._most
        return fewer and not kept and self._cost < _SHARE * since

    def look(self, work: Work) -> dict[int, float]:
        """Measure counts from the most down by halves, and compute with the fastest.

        Returns:
            Seconds of a step by each count that was measured.
        """
        begun, before = time.monotonic(), torch.get_num_threads()
        seconds: dict[int, float] = {}
        count = self._most
        while count:
            _compute_with(count)
            seconds[count] = _seconds_of_a_step(work)
            if seconds[count] > _CLEARLY_SLOWER * min(seconds.values()):
                break
            count //= 2
        alike = _TIE * min(seconds.values())
        chosen = min(count for count, took in seconds.items() if took <= alike)
        _compute_with(chosen)
        self._looked = time.monotonic()
        self._cost = self._looked - begun
        self._forget()
        if chosen != before:
            self._say(_in_words(chosen, seconds))
        return seconds

    def _forget(self) -> None:
        """Begin to watch the speed anew."""
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._best = math.inf


def _compute_with(threads: int) -> None:
    """Set the count of torch, and of the libraries that numpy and scikit-learn compute with."""
    torch.set_num_threads(threads)
    threadpool_limits(limits=threads)


def _seconds_of_a_step(work: Work) -> float:
    """Wall time of one step, in the mean over some, after one that warms up."""
    begun = time.monotonic()
    work()
    if (took := time.monotonic() - begun) > 2 * _SECONDS:
        return took  # so long a step is hardly longer for being the first
    steps, begun = 0, time.monotonic()
    while steps < _STEPS and time.monotonic() - begun < _SECONDS:
        work()
        steps += 1
    return (time.monotonic() - begun) / steps


def _in_words(chosen: int, seconds: dict[int, float]) -> str:
    others = ", ".join(
        f"{threads_in_words(count)} {took:.2g} s"
        for count, took in seconds.items()
        if count != chosen
    )
    return (
        f"computing with {threads_in_words(chosen)} from here on, the fastest count measured now: "
        f"{seconds[chosen]:.2g} s a step ({others})"
    )
