"""What is kept of the readings: figures of each level, and a curve thin enough to draw."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from papers.bounds_bench.tasks import TASKS
from papers.bounds_bench.training import READ_EVERY, Run

LATE = 0.25
"""Share of a level's readings, its last, by which a bound is judged."""
CURVE_STEPS = 200
"""Steps that a point of the curve stands for."""
BAND = 0.05, 0.95
"""Quantiles of the readings that the curve's band shows."""


def level_rows(found: Mapping[Run, np.ndarray]) -> pd.DataFrame:
    """One row for each level and bound: how the late readings lie about the truth.

    `mse = bias² + sd²`, all over single readings, each of one batch. A reading that is not finite
    is counted and left out.

    Args:
        found: Readings of each run.
    """
    rows = []
    for run, readings in found.items():
        levels = TASKS[run.task].levels
        for place, information in enumerate(levels):
            late = _part(readings, place, len(levels))
            late = late[round(len(late) * (1 - LATE)) :].astype(np.float64)
            for bound, values in zip(run.readings, late.T, strict=True):
                finite = values[np.isfinite(values)]
                mean, sd = (finite.mean(), finite.std()) if len(finite) else (np.nan, np.nan)
                rows.append(
                    {
                        "task": run.task,
                        "bound": bound,
                        "seed": run.seed,
                        "information": information,
                        "bias": mean - information,
                        "sd": sd,
                        "mse": (mean - information) ** 2 + sd**2,
                        "largest": values.max(),
                        "not_finite": len(values) - len(finite),
                    }
                )
    return pd.DataFrame(rows)


def curve_rows(found: Mapping[Run, np.ndarray]) -> pd.DataFrame:
    """Means and quantiles of the readings of every 200 steps, `step` being their middle.

    Args:
        found: Readings of each run.
    """
    size = CURVE_STEPS // READ_EVERY
    frames = []
    for run, readings in found.items():
        count = len(readings) // size
        middles = CURVE_STEPS * np.arange(count) + CURVE_STEPS // 2
        blocks = readings[: count * size].reshape(count, size, -1).astype(np.float64)
        # Readings themselves: between an infinite one and the next there is nothing to interpolate.
        low, high = np.quantile(blocks, BAND, axis=1, method="nearest")
        for place, bound in enumerate(run.readings):
            frames.append(
                pd.DataFrame(
                    {
                        "task": run.task,
                        "bound": bound,
                        "seed": run.seed,
                        "step": middles,
                        "mean": blocks[:, :, place].mean(axis=1),
                        "low": low[:, place],
                        "high": high[:, place],
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _part(readings: np.ndarray, place: int, levels: int) -> np.ndarray:
    """The readings of one level."""
    return readings[len(readings) * place // levels : len(readings) * (place + 1) // levels]
