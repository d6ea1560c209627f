"""What training writes down: the same scalars as JSON lines and as TensorBoard events."""

from collections.abc import Mapping
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from nearfar.training.run_folder import Json, RunFolder


class MetricsLog:
    """Writes records to `metrics.jsonl` and to TensorBoard.

    Args:
        run_folder: Where.
        step: Steps taken before. What either file holds beyond them is dropped, so that a resumed
            run doubles nothing.
        size: Bytes of `metrics.jsonl` at that step.
    """

    def __init__(self, run_folder: RunFolder, *, step: int = 0, size: int = 0) -> None:
        self._run_folder = run_folder
        run_folder.truncate_metrics(size)
        resumed = step > 0
        # Events of `step` itself may be only partly wanted: purge them, and write the kept ones.
        self._events = SummaryWriter(run_folder.tensorboard, purge_step=step if resumed else None)
        if resumed and run_folder.metrics.exists():
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

    def write(self, step: int, epoch: float, kind: str, values: Mapping[str, float]) -> None:
        """Write one record.

        Args:
            step: Steps taken.
            epoch: Epochs done, with their fraction.
            kind: `step` or `knn`.
            values: The scalars.
        """
        record = {"kind": kind, "step": step, "epoch": round(epoch, 6), **values}
        self._run_folder.append_metrics(record)
        self._write_events(record)

    def size(self) -> int:
        """Bytes of `metrics.jsonl`; all that was written is safe on disk when this returns."""
        self._events.flush()
        return self._run_folder.metrics_size()

    def _write_events(self, record: Json) -> None:
        group = "train" if record["kind"] == "step" else record["kind"]
        for name, value in record.items():
            if name not in ("kind", "step") and value is not None:
                self._events.add_scalar(f"{group}/{name}", value, record["step"])
