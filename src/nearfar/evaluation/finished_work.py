"""Long pieces of an evaluation that are done, on disk: one that was cut goes on after them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nearfar.durable_files import append_line, writing

Json = Any


class FinishedWork:
    """Results by what they are of, in a file of one JSON object a line.

    A line that a kill cut short counts as work that is not done.

    Args:
        path: The file; None remembers nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, Json] = {}
        if path is not None and path.is_file():
            for line in path.read_bytes().split(b"\n")[:-1]:
                try:
                    record = json.loads(line)
                    self._known[record["key"]] = record["value"]
                except (ValueError, KeyError, TypeError):
                    continue

    def once(self, key: str, work: Callable[[], Json]) -> Json:
        """What a piece of work gives; it is done where no earlier process has finished it.

        Args:
            key: From `fingerprint`: all that the result depends on.
            work: Gives what JSON can hold.

        Raises:
            NearfarError: The disk is full or refuses.
        """
        if key not in self._known:
            self._known[key] = work()
            if self._path is not None:
                # Behind an end of line, for the one before may have been cut short.
                record = json.dumps({"key": key, "value": self._known[key]})
                append_line(self._path, f"\n{record}")
        return self._known[key]

    def forget(self) -> None:
        """Remove the file: all that it was for is written."""
        if self._path is not None:
            with writing(self._path):
                self._path.unlink(missing_ok=True)


def fingerprint(*things: Any) -> str:
    """A checksum of things: numbers, words, dataclasses, tensors, networks by their weights."""
    digest = hashlib.sha256()
    for thing in things:
        for part in _parts(thing):
            digest.update(part)
            digest.update(b"\0")
    return digest.hexdigest()


def _parts(thing: Any) -> list[bytes]:
    if isinstance(thing, Tensor):
        held = thing.detach().cpu().contiguous()
        return [str((held.dtype, tuple(held.shape))).encode(), held.numpy().tobytes()]
    if isinstance(thing, nn.Module):
        state = thing.state_dict()
        return [part for name in state for part in (name.encode(), *_parts(state[name]))]
    if is_dataclass(thing) and not isinstance(thing, type):
        thing = asdict(thing)
    return [json.dumps(thing, default=str, sort_keys=True).encode()]
