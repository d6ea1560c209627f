"""Following a run in a tracker of another maker, which can neither end the run nor hold it up."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from nearfar.outside_text import first_line

_BEGIN_SECONDS, _END_SECONDS = 30.0, 60.0
"""So long a run waits for its tracker to begin, and for what is left when it ends."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker is told of it.

    Attributes:
        id: Its own, the same when it is gone on with.
        name: Of its folder.
        config: Every setting by its dotted name.
    """

    id: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Begun:
    """What a tracker answers when a run begins, or is gone on with.

    Attributes:
        where: Where a person finds the run there.
        last_step: The last step that it has of the run; 0 for a new one.
    """

    where: str
    last_step: int = 0


@runtime_checkable
class Tracker(Protocol):
    """What a tracker does; each call is made in turn, in a thread of its own, and may raise."""

    def begin(self, run: TrackedRun) -> Begun:
        """Begin a run, or go on with the one of this id."""
        ...

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take values of a step, by name."""
        ...

    def files(self, paths: Sequence[Path]) -> None:
        """Take files of the run as they are now."""
        ...

    def end(self, *, failed: bool) -> None:
        """The run is over."""
        ...


class Tracking:
    """A run in a tracker: a context around all of the run.

    Calls go to the tracker in a thread, so that training never waits for a network. The first that
    fails is told in a line, and the tracker is left out from there on.

    Args:
        tracker: Of the run.
        title: What a person calls it.
        run: The run.
        say: Tells a person a line.
    """

    def __init__(
        self, tracker: Tracker, title: str, run: TrackedRun, say: Callable[[str], None]
    ) -> None:
        self._tracker, self._title, self._run, self._say = tracker, title, run, say
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._told: set[str] = set()
        self._begun: Begun | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)

    def __enter__(self) -> "Tracking":
        self._thread.start()
        self._ready.wait(_BEGIN_SECONDS)
        self._tell()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._calls.put(lambda: self._tracker.end(failed=error is not None))
        self._calls.put(None)
        self._thread.join(_END_SECONDS)
        self._tell()
        if self._thread.is_alive():
            self._say(f"{self._title} has not taken all in {_END_SECONDS:.0f} s and is left behind")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Hand on values of a step; steps that the tracker has from before a kill are left out."""
        taken = dict(values)

        def send() -> None:
            if self._begun is not None and step > self._begun.last_step:
                self._tracker.scalars(step, taken)

        self._put(send)

    def scores(self, step: int, values: Mapping[str, float]) -> None:
        """Hand on what is found of the trained run, whether or not its steps are there already."""
        self._put(lambda: self._tracker.scalars(step, dict(values)))

    def files(self, paths: Sequence[Path]) -> None:
        """Hand on those of the files that there are."""
        self._put(lambda: self._tracker.files([path for path in paths if path.is_file()]))

    def _put(self, call: Callable[[], None]) -> None:
        self._tell()
        if self._error is None:
            self._calls.put(call)

    def _work(self) -> None:
        """In the thread: the run begins, then every call in turn, none after one that failed."""
        try:
            self._begun = self._tracker.begin(self._run)
        except BaseException as error:  # also the SystemExit of a library
            self._error = error
        self._ready.set()
        while (call := self._calls.get()) is not None:
            if self._error is None:
                try:
                    call()
                except BaseException as error:
                    self._error = error

    def _tell(self) -> None:
        """Say where the run can be seen, and that the tracker failed, once each.

        In the thread of the caller, where lines keep their order.
        """
        if self._begun is not None and "begun" not in self._told:
            self._told.add("begun")
            self._say(f"{self._title}: {self._begun.where}")
        if self._error is not None and "failed" not in self._told:
            self._told.add("failed")
            self._say(
                f"{self._title} failed and is left out from here on: {first_line(self._error)}"
            )
