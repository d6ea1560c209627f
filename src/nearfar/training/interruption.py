"""Signals that stop a run: it finishes its step, saves, and says how to go on."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nearfar.errors import NearfarError

_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_SEEN = b"\nfinishing the step and saving; the same signal again stops at once\n"


class Interrupted(NearfarError):  # noqa: N818  (it is an end, not an error)
    """A signal stopped the run, and a checkpoint holds all of it.

    Args:
        message: What was saved and how to go on.
        signal_number: Which signal; the exit code is 128 more, as shells have it.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


@contextmanager
def heard_out() -> Iterator[None]:
    """Let a process that is ending by an error tell it before SIGTERM ends it.

    When one rank ends, torchrun sends SIGTERM to the others, which may just be about to say that
    they lost it. Left by an error, the signal stays so until the process is over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _die_unless_ending)
    yield
    signal.signal(signal.SIGTERM, before)


def _die_unless_ending(number: int, _frame: FrameType | None) -> None:
    """Die as the signal says, unless an error is being handled."""
    if sys.exc_info()[1] is None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def take_signals(handler: Callable[[int, FrameType | None], None]) -> dict[signal.Signals, Any]:
    """Have SIGINT, SIGTERM, SIGHUP and SIGUSR1 call a handler, and say what handled them before.

    SIGHUP comes when the terminal is closed; under `nohup`, which ignores it, it stays ignored.
    SIGUSR1 is what SLURM is asked to send some minutes before a job's time is over.
    Outside the main thread Python does not let signals be handled: there nothing changes.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _HEEDED:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            before[number] = signal.signal(number, handler)
    return before


def give_back_signals(before: Mapping[signal.Signals, Any]) -> None:
    """Let signals be handled again as they were before `take_signals`."""
    for number, handler in before.items():
        signal.signal(number, handler)


class StopSignals:
    """While it is entered, the first signal that is heeded is only noted; a second one kills.

    A second SIGUSR1 does not: it is a notice, which may come twice. Outside the main thread
    nothing is noted.

    Args:
        quiet: Say nothing when a signal comes, because another rank does.

    Attributes:
        received: The signal that came, or None.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.received: signal.Signals | None = None
        self._quiet = quiet
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._before = take_signals(self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        give_back_signals(self._before)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            if number == signal.SIGUSR1:
                return
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.received = signal.Signals(number)
        if not self._quiet:
            with contextlib.suppress(OSError):  # whoever read it has left
                os.write(2, _SEEN)  # not print: a handler may run in the middle of one
