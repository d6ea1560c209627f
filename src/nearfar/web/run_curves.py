"""All that a run has logged against its steps, kept in memory and brought up to date."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.run_folder import names
from nearfar.web.growing_metrics import GrowingMetrics
from nearfar.web.thinned import ThinnedCurve

_MOST_RUNS = 64
"""Runs whose curves are kept: those that were looked at last."""
_MOST_TOLD = 50
"""Lines in words, such as that a run collapsed, that are kept of a run; the last ones."""
_MOST_CURVES = 200
"""Of a run; what is logged under further names is left out."""
_NOT_DRAWN = ("kind", "step", "epoch")


@dataclass(frozen=True)
class Logged:
    """What a run has logged, at one moment.

    Attributes:
        curves: Places and values of each figure by its name, those of checks as `knn.top1`.
        told: What was said in words, such as that the run collapsed, each with its epoch.
        asked: What the last check was made on: "held out" or "trained on".
    """

    curves: dict[str, tuple[list[float], list[float]]]
    told: list[str]
    asked: str


class _Following:
    """One run, whose lines are read as they come.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self._metrics = GrowingMetrics(path / names.METRICS)
        self._begin()

    def _begin(self) -> None:
        self._curves: dict[str, ThinnedCurve] = {}
        self._told: list[str] = []
        self._asked = "held out"

    def now(self) -> Logged:
        """All that was logged, with what was added since the last call.

        Raises:
            NearfarError: A line is damaged.
        """
        while True:
            lines, anew = self._metrics.new_lines()
            if anew:
                self._begin()
            for line in lines:
                self._take(line)
            if not lines:
                curves = {name: each.points() for name, each in self._curves.items()}
                return Logged(curves, list(self._told), self._asked)

    def _take(self, line: dict[str, Any]) -> None:
        if "told" in line:
            self._told = [*self._told, f"Epoch {line['epoch']:.1f}: {line['told']}"][-_MOST_TOLD:]
        if line["kind"] == "not_finite":
            self._told.append(f"Epoch {line['epoch']:.1f}: a number was not finite")
        if line["kind"] == "knn":
            # A check that does not say so is of a version that held nothing out.
            self._asked = str(line.get("asked", "trained on"))
        prefix = "" if line["kind"] == "step" else f"{line['kind']}."
        for name, value in line.items():
            if name in _NOT_DRAWN or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if prefix + name in self._curves or len(self._curves) < _MOST_CURVES:
                self._curves.setdefault(prefix + name, ThinnedCurve()).add(
                    float(line["step"]), float(value)
                )


class KeptCurves:
    """The curves of the runs that were looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[Path, _Following] = OrderedDict()

    def of(self, path: Path) -> Logged:
        """What a run has logged by now.

        Args:
            path: Its folder.

        Raises:
            NearfarError: A line of its `metrics.jsonl` is damaged.
        """
        with self._lock:
            held = self._held.setdefault(path, _Following(path))
            self._held.move_to_end(path)
            while len(self._held) > _MOST_RUNS:
                self._held.popitem(last=False)
            return held.now()
