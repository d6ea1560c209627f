"""What training writes down: scalars as JSON lines, as TensorBoard events and for a tracker."""

import contextlib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from nearfar.durable_files import writing
from nearfar.errors import NearfarError
from nearfar.run_folder.folder import Json, RunFolder
from nearfar.run_folder.manifest import FileEntry
from nearfar.training.tracker import Tracking


class MetricsLog:
    """Writes records to `metrics.jsonl` and to TensorBoard.

    Args:
        steps_per_epoch: Turns steps into epochs.
        step: Steps taken before. What either file holds beyond them is dropped, so that a resumed
            run doubles nothing.
        size: Bytes of `metrics.jsonl` at that step.
        tracking: Is handed the same scalars as TensorBoard.

    Attributes:
        earlier: The records that a resumed run keeps.
    """

    def __init__(
        self,
        run_folder: RunFolder,
        steps_per_epoch: int,
        step: int,
        size: int,
        tracking: Tracking | None = None,
    ) -> None:
        self._run_folder = run_folder
        self._tracking = tracking
        self._steps_per_epoch = steps_per_epoch
        kept = run_folder.begin_metrics(size)
        self._size, self._checksum = len(kept), hashlib.sha256(kept)
        run_id = run_folder.manifest.state().id
        with writing(run_folder.tensorboard):
            _put_first(run_folder.tensorboard, run_id)
            # Events of `step` itself may be only partly wanted: purge them, and write the kept.
            # The run's id in their name says whose they are.
            self._events = SummaryWriter(
                run_folder.tensorboard, purge_step=step, filename_suffix=f".{run_id}"
            )
        self.earlier = run_folder.read_metrics() if size else []
        for record in self.earlier:
            if record["step"] == step:
                self._write_events(record)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Of a full disk the first error tells.
        with contextlib.nullcontext() if error is None else contextlib.suppress(NearfarError):
            with writing(self._run_folder.tensorboard):
                self._events.close()
            grown = self._grown()
            self._run_folder.manifest.grow(
                self._run_folder.metrics.name, size=grown.size, sha256=grown.sha256
            )

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Write one record.

        Args:
            kind: `step`, `knn`, `collapsed` and `recovered`, or `not_finite` for what stopped the
                run.
            values: The scalars; what is none goes into `metrics.jsonl` alone.
        """
        epoch = round(step / self._steps_per_epoch, 6)
        record = {"kind": kind, "step": step, "epoch": epoch, **values}
        line = self._run_folder.append_metrics(record).encode()
        self._size += len(line)
        self._checksum.update(line)
        self._write_events(record)

    def synced(self) -> FileEntry:
        """What `metrics.jsonl` holds; all that was written is safe on disk when this returns."""
        with writing(self._run_folder.tensorboard):
            self._events.flush()
        self._run_folder.sync_metrics()
        return self._grown()

    def _grown(self) -> FileEntry:
        return FileEntry(self._size, self._checksum.hexdigest(), grows=True)

    def _write_events(self, record: Json) -> None:
        group = "train" if record["kind"] == "step" else record["kind"]
        scalars = {
            f"{group}/{name}": value
            for name, value in record.items()
            if name != "step" and isinstance(value, int | float)
        }
        with writing(self._run_folder.tensorboard):
            for name, value in scalars.items():
                self._events.add_scalar(name, value, record["step"])
        if self._tracking is not None:
            self._tracking.scalars(record["step"], scalars)


def _put_first(folder: Path, run_id: str) -> None:
    """Let a run's earlier files of events be read before the next one.

    TensorBoard reads them in the order of their names, which begin with the second in which they
    were made. A clock that was set back would put the next one first; so earlier ones get the
    seconds 1, 2, 3… in their order.
    """
    ours = re.compile(rf"events\.out\.tfevents\.([0-9]{{10}})\.(.+\.{run_id})", re.DOTALL)
    found = [ours.fullmatch(path.name) for path in folder.glob("events.out.tfevents.*")]
    named = sorted(match.group() for match in found if match)
    # Files numbered before come first by their names, and keep their numbers.
    for number, name in enumerate(named, start=1):
        match = ours.fullmatch(name)
        if match and int(match[1]) != number:
            (folder / name).rename(folder / f"events.out.tfevents.{number:010d}.{match[2]}")
