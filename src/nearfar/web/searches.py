"""Runs whose neighbours were asked for: made ready one at a time, beside the server, and kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from nearfar.errors import NearfarError
from nearfar.outside_text import first_line, printable
from nearfar.run_folder import names

_KEPT = 2
"""Runs that are kept ready, each with its examples: those that were asked for last."""

Made = TypeVar("Made")


@dataclass
class _Search(Generic[Made]):
    """One run's search.

    Attributes:
        doing: How far it is, for a person.
        made: What can be asked, once it is ready.
        failed: Why it could not be made ready.
    """

    doing: str = "waiting for another run's"
    made: Made | None = None
    failed: str | None = None


class Searches(Generic[Made]):
    """Starts what is asked for first, tells how far it is, and forgets what was not asked for long.

    Args:
        make: Makes a run's folder ready; it is given a function to tell how far it is.
    """

    def __init__(self, make: Callable[[Path, Callable[[str], None]], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._held: OrderedDict[Any, _Search[Made]] = OrderedDict()
        self._waiting: SimpleQueue[tuple[Path, _Search[Made]]] = SimpleQueue()
        self._working = False

    def state(self, run: Path) -> dict[str, Any]:
        """How far a run is; the first call starts it, and one after it was told to have failed."""
        held = self._of(run)
        if held.failed is not None:
            self._forget(held)
            return {"failed": held.failed}
        return {"ready": True} if held.made is not None else {"doing": held.doing}

    def ready(self, run: Path) -> Made:
        """What can be asked.

        Raises:
            NearfarError: It is not ready, or could not be made so.
        """
        held = self._of(run)
        if held.made is None:
            raise NearfarError(held.failed or f"not ready yet: {held.doing}")
        return held.made

    def _of(self, run: Path) -> _Search[Made]:
        weights = run / names.ENCODER_WEIGHTS
        try:
            seen = weights.stat()
        except OSError:
            raise NearfarError(
                "this run has no encoder yet: it leaves one when its training is done"
            ) from None
        key = (run, seen.st_ino, seen.st_mtime_ns)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            search = self._held[key] = _Search[Made]()
            self._waiting.put((run, search))
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, daemon=True).start()
            return search

    def _forget(self, search: _Search[Made]) -> None:
        """Let what failed be tried again."""
        with self._lock:
            for key in [key for key, each in self._held.items() if each is search]:
                del self._held[key]

    def _work(self) -> None:
        """Makes ready what waits, and lets go of what is ready and was asked for longest ago."""
        while True:
            with self._lock:
                try:
                    run, search = self._waiting.get_nowait()
                except Empty:
                    self._working = False
                    return
            self._do(run, search)
            with self._lock:
                ready = [key for key, each in self._held.items() if each.made is not None]
                for key in ready[:-_KEPT]:
                    del self._held[key]

    def _do(self, run: Path, search: _Search[Made]) -> None:
        def say(text: str) -> None:
            search.doing = text

        try:
            search.made = self._make(run, say)
        except NearfarError as error:
            search.failed = printable(str(error))
        except Exception as error:  # of a plug-in or a library: told in the page as any other
            search.failed = printable(f"{type(error).__name__}: {first_line(error)}")
