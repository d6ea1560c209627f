"""What training writes down: the same scalars as JSON lines and as TensorBoard events."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from nearfar.training.run_folder import Json, RunFolder


class MetricsLog:
    """Writes records to `metrics.jsonl` and to TensorBoard.

    Args:
        run_folder: Where.
        steps_per_epoch: Turns steps into epochs.
        step: Steps taken before. What either file holds beyond them is dropped, so that a resumed
            run doubles nothing.
        size: Bytes of `metrics.jsonl` at that step.
    """

    def __init__(self, run_folder: RunFolder, steps_per_epoch: int, step: int, size: int) -> None:
        self._run_folder = run_folder
        self._steps_per_epoch = steps_per_epoch
        run_folder.truncate_metrics(size)
        _wait_for_a_later_second(run_folder.tensorboard)
        # Events of `step` itself may be only partly wanted: purge them, and write the kept ones.
        self._events = SummaryWriter(run_folder.tensorboard, purge_step=step)
        if size:
            for record in run_folder.read_metrics():
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
        self._events.close()

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Write one record.

        Args:
            kind: `step`, `knn`, or `not_finite` for what stopped the run.
            step: Steps taken.
            values: The scalars; what is none goes into `metrics.jsonl` alone.
        """
        epoch = round(step / self._steps_per_epoch, 6)
        record = {"kind": kind, "step": step, "epoch": epoch, **values}
        self._run_folder.append_metrics(record)
        self._write_events(record)

    def size(self) -> int:
        """Bytes of `metrics.jsonl`; all that was written is safe on disk when this returns."""
        self._events.flush()
        return self._run_folder.metrics_size()

    def _write_events(self, record: Json) -> None:
        group = "train" if record["kind"] == "step" else record["kind"]
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float):
                self._events.add_scalar(f"{group}/{name}", value, record["step"])


def _wait_for_a_later_second(folder: Path) -> None:
    """Let the new file of events be read last: TensorBoard orders them by the second they name."""
    seconds = [int(file.name.split(".")[3]) for file in folder.glob("events.out.tfevents.*")]
    if seconds:
        time.sleep(max(0.0, min(max(seconds) + 1 - time.time(), 1.0)))
