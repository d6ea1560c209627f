"""Follows a `metrics.jsonl` that is being written: each line once, and never half of one."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError
from nearfar.outside_text import printable
from nearfar.run_folder.records import check_line

_AT_ONCE = 2**23
"""Bytes that are read before their lines are told."""
_REMEMBERED = 256
"""Bytes before the place that was come to, by which a file that was written anew is known."""


class GrowingMetrics:
    """The place in a file to which it has been read.

    Args:
        path: The file, which may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._before = b""
        self._file: tuple[int, int] | None = None

    def new_lines(self) -> tuple[list[dict[str, Any]], bool]:
        """What was added since the last call.

        Returns:
            The whole lines, and whether they begin the file: it is another one, or was cut back
            as a resumed run does, so that what was told before no longer holds.

        Raises:
            NearfarError: The file cannot be read, or a whole line is damaged.
        """
        try:
            with self._path.open("rb") as file:
                anew = self._find_place(file)
                content = file.read(_AT_ONCE)
        except FileNotFoundError:
            anew = self._offset > 0
            self._forget()
            return [], anew
        except OSError as error:
            raise NearfarError(
                f"cannot read {printable(str(self._path))}: {error.strerror}"
            ) from error
        end = content.rfind(b"\n") + 1
        if not end and len(content) == _AT_ONCE:
            raise NearfarError(f"{printable(str(self._path))} is damaged: a line without an end")
        lines = [self._record(line) for line in content[:end].split(b"\n")[:-1]]
        self._offset += end
        self._before = (self._before + content[:end])[-_REMEMBERED:]
        return lines, anew

    def _find_place(self, file: Any) -> bool:
        """Go to where the new lines begin: the start, where the file is another one."""
        seen = os.fstat(file.fileno())
        here = (seen.st_dev, seen.st_ino)
        file.seek(self._offset - len(self._before))
        same = self._file == here and file.read(len(self._before)) == self._before
        anew = not same
        if anew:
            self._forget()
            self._file = here
        file.seek(self._offset)
        return anew

    def _record(self, line: bytes) -> dict[str, Any]:
        record: dict[str, Any] = {}
        with suppress(ValueError):
            record = json.loads(line)
        check_line(record, self._path)
        return record
