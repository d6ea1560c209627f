"""Processes that train for this one: a signal to us reaches them, and none outlives an error."""

import os
import subprocess
import sys
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Generic, TypeVar

from nearfar.durable_files import writing
from nearfar.training.interruption import give_back_signals, take_signals

Key = TypeVar("Key", bound=Hashable)


class Processes(Generic[Key]):
    """Processes by what they are at, each with one thread and a log of its own.

    Attributes:
        running: Those that have not ended, as far as anyone has asked.
        received: The signal that came, or None.
    """

    def __init__(self) -> None:
        self.running: dict[Key, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self.received: int | None = None

    @contextmanager
    def passing_on_signals(self) -> Iterator[None]:
        """Within this context a signal tells every process to save and end; a second one kills.

        Those that run when it is left, as by an error, save and end too, and are waited for.
        """
        before = take_signals(self._stop)
        try:
            yield
        finally:
            for process, log in self.running.values():
                process.terminate()
                log.close()
            for process, _ in self.running.values():
                process.wait()
            give_back_signals(before)

    def start(self, key: Key, module: Sequence[str], log: Path) -> None:
        """Begin a process; what it says goes to the end of its log.

        Args:
            key: What it is at.
            module: As behind `python -m`.
            log: Where to.

        Raises:
            NearfarError: The log cannot be written.
        """
        with writing(log):
            file = log.open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            # Ctrl-C would reach them as well as us; told twice, they would end without saving.
            start_new_session=True,
        )
        self.running[key] = process, file
        if self.received is not None:  # it came before the process was listed
            process.terminate()

    def ended(self) -> list[tuple[Key, int]]:
        """What has ended since this was last asked, with the exit codes."""
        codes = {key: process.poll() for key, (process, _) in self.running.items()}
        ended = [(key, code) for key, code in codes.items() if code is not None]
        for key, _ in ended:
            self.running.pop(key)[1].close()
        return ended

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        for process, _ in self.running.values():
            if self.received is None:
                process.terminate()
            else:
                process.kill()
        self.received = number
