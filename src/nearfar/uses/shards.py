"""Features that are being computed, some rows to a file, so that a killed process loses little."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32, Int64
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nearfar.durable_files import make_folder, remove_leftovers, write_durably, writing
from nearfar.run_folder import names
from nearfar.run_folder.lock import locked

ROWS = 1024
"""Rows that are lost at most, for each rank, when it is killed."""
_PLAN = "plan.json"
_CHECKSUM_BYTES = 32


@dataclass(frozen=True)
class Shard:
    """Some rows, computed.

    Attributes:
        rows: Which of the part's rows; those that could not be read are left out.
        features: Of these rows.
        kept: Of each planned row its short side over its long one, where the files told it; 0 for
            what could not be read. Else empty.
    """

    rows: Int64[Tensor, " m"]
    features: Float32[Tensor, "m dim"]
    kept: Float32[Tensor, " planned"]


class Shards:
    """A folder beside the file that is to come, which holds what is computed so far.

    Every file in it ends in its own checksum, and what is not whole is computed anew.

    Args:
        out: The file that is to come.
    """

    def __init__(self, out: Path) -> None:
        # Names have 255 bytes at most.
        short = out.name.encode()[:180].decode(errors="ignore")
        digest = hashlib.sha256(out.name.encode()).hexdigest()[:8]
        self.folder = out.with_name(f".{short}.{digest}.parts")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out; the folder is made.

        Raises:
            NearfarError: Another one is at it, or nothing can be written there.
        """
        make_folder(self.folder)
        with locked(self.folder, "embedding"):
            yield

    def begin(self, plan: Mapping[str, Any]) -> bool:
        """Keep what is there if it is of the same plan, and drop it if not.

        Args:
            plan: All that the features depend on, as JSON has it.

        Returns:
            Whether something of another plan was dropped.
        """
        remove_leftovers(self.folder)
        text = json.dumps(plan, sort_keys=True).encode()
        file = self.folder / _PLAN
        if file.is_file() and file.read_bytes() == text:
            return False
        dropped = file.is_file()
        self._remove_files()
        write_durably(file, text)
        return dropped

    def write(self, number: int, shard: Shard) -> None:
        """Keep some rows; they are on the disk when this returns."""
        content = save(
            {"rows": shard.rows, "features": shard.features.contiguous(), "kept": shard.kept}
        )
        write_durably(self._file(number), content + hashlib.sha256(content).digest())

    def read(self, number: int) -> Shard | None:
        """The rows that were kept under a number; None where they are missing or damaged."""
        try:
            held = self._file(number).read_bytes()
        except OSError:
            return None
        content, checksum = held[:-_CHECKSUM_BYTES], held[-_CHECKSUM_BYTES:]
        if hashlib.sha256(content).digest() != checksum:
            return None
        try:
            found = load(content)
            return Shard(found["rows"], found["features"], found["kept"])
        except (SafetensorError, KeyError):
            return None

    def remove(self) -> None:
        """Remove the folder and what this class has put there."""
        self._remove_files()
        with writing(self.folder):
            (self.folder / names.LOCK).unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _remove_files(self) -> None:
        with writing(self.folder):
            for file in self.folder.glob("rows-*"):
                file.unlink()
            (self.folder / _PLAN).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"rows-{number:08}"


def slices(count: int) -> list[slice]:
    """The rows of a part, cut where shards are cut."""
    return [slice(first, min(first + ROWS, count)) for first in range(0, count, ROWS)]


def as_rows(taken: slice) -> Int64[Tensor, " m"]:
    """The numbers of the rows of a slice."""
    return torch.arange(taken.start, taken.stop)
