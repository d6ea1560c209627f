"""How far a running job is, how fast it goes, and how long it still takes."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearfar.run_folder import names
from nearfar.run_folder.glance import last_steps
from nearfar.sweeps.found_runs import FoundRun
from nearfar.sweeps.run_table import duration

_STEPS = 50
"""Last steps over which the rate is taken: one alone tells what else the machine did then."""
_SILENT = 60.0
"""Seconds without a line after which a running job is said to be silent."""


@dataclass(frozen=True)
class Progress:
    """Of one run.

    Attributes:
        share: Of the training that is done, 0 to 1; None where it is not known.
        text: The same for a person, with rate and time left of a running job.
    """

    share: float | None
    text: str

    def as_json(self) -> dict[str, Any]:
        """As an object of JSON's own types."""
        return asdict(self)


def progress(run: FoundRun, path: Path) -> Progress:
    """How far a run is, from its row and the end of its `metrics.jsonl`.

    Args:
        run: Its row.
        path: Its folder.

    Raises:
        NearfarError: The end of the file is damaged.
    """
    if not run.epochs:
        return Progress(None, "")
    if run.state != "running":
        done = run.done or 0
        return Progress(min(1.0, done / run.epochs), f"{done:,} of {run.epochs:,} epochs")
    lines = last_steps(path / names.METRICS, _STEPS)
    epoch = float(lines[0]["epoch"]) if lines else 0.0
    if epoch >= run.epochs:
        return Progress(1.0, "trained; the encoder is being judged")
    said = [f"epoch {epoch:.1f} of {run.epochs:,}"]
    rate = _rate(lines)
    if rate:
        said.append(f"{rate:,.0f} examples/s")
        left = _seconds_left(lines[0], run, epoch, rate)
        said += [f"about {duration(left)} left"] if left is not None else []
    silent = _silent_for(path)
    said += [f"silent for {duration(silent)}"] if silent > _SILENT else []
    return Progress(min(1.0, epoch / run.epochs), ", ".join(said))


def _rate(lines: list[dict[str, Any]]) -> float | None:
    """Examples in a second over several steps of as many each: their harmonic mean."""
    rates = [float(line.get("examples_per_second") or 0) for line in lines]
    times = [1 / rate for rate in rates if rate > 0]
    return len(times) / sum(times) if times else None


def _seconds_left(line: dict[str, Any], run: FoundRun, epoch: float, rate: float) -> float | None:
    """By the rate of the last steps; checks on the way and the judging at the end are not in it."""
    batch, step = run.settings.get("training.batch_size"), line.get("step")
    if not (batch and step and epoch and run.epochs):
        return None
    return (run.epochs - epoch) / epoch * step * batch / rate


def _silent_for(path: Path) -> float:
    """Seconds since the last line was written; 0 before the first."""
    try:
        return time.time() - (path / names.METRICS).stat().st_mtime
    except OSError:
        return 0.0
