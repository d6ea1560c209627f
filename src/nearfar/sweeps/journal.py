"""Optuna's journal in the folder of a sweep, safe from processes that are killed while they write.

Each change is one line, appended under a lock of the system, which a killed process cannot keep.
Half a line, as a full disk leaves it, is cut off before the next one is written.
"""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nearfar.durable_files import writing
from nearfar.errors import NearfarError
from nearfar.sweeps.sweep_folder import SweepFolder

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ModuleNotFoundError as error:
    raise NearfarError(
        "a sweep needs Optuna, which is not installed: pip install 'nearfar[sweeps]'"
    ) from error


_NAME = "sweep"


class _Lock:
    """What Optuna asks of a lock of a journal."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._held: list[ExitStack] = []

    def acquire(self) -> bool:
        stack = ExitStack()
        stack.enter_context(self._folder.locked("journal"))
        try:
            _cut_torn_line(self._folder)
        except BaseException:
            stack.close()
            raise
        self._held.append(stack)
        return True

    def release(self) -> None:
        self._held.pop().close()


class _Backend(JournalFileBackend):
    """Optuna's file, and what the disk refuses or a damaged line is in one line."""

    def __init__(self, folder: SweepFolder) -> None:
        self._journal = folder.journal
        lock: Any = _Lock(folder)
        with writing(self._journal):
            super().__init__(str(self._journal), lock_obj=lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with writing(self._journal):
            super().append_logs(logs)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        try:
            yield from super().read_logs(log_number_from)
        except ValueError as error:
            raise _damaged(self._journal, error) from error
        except OSError as error:
            raise NearfarError(f"cannot read {self._journal}: {error.strerror}") from error


def open_journal(folder: SweepFolder) -> "optuna.Study":
    """The search that a folder holds; a new one is begun.

    Raises:
        NearfarError: The journal is damaged, or the disk refuses.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = _Backend(folder)
    try:
        storage = optuna.storages.JournalStorage(backend)
        try:
            return optuna.load_study(storage=storage, study_name=_NAME)
        except KeyError:
            with folder.locked():
                return optuna.create_study(
                    storage=storage, study_name=_NAME, direction="maximize", load_if_exists=True
                )
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise _damaged(folder.journal, error) from error


def _damaged(journal: Path, error: Exception) -> NearfarError:
    return NearfarError(f"{journal} is damaged: {error}")


def _cut_torn_line(folder: SweepFolder) -> None:
    """Cut off what follows the last newline."""
    with open(folder.journal, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        place = size
        while place:
            step = min(4096, place)
            file.seek(place - step)
            end = file.read(step).rfind(b"\n")
            if end >= 0:
                place = place - step + end + 1
                break
            place -= step
        if place < size:
            file.truncate(place)
