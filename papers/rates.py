"""Rates of convergence: the slope of a fit in logarithms."""

import numpy as np
import pandas as pd

from papers.measurements import groups, values


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Least-squares slope of `log y` against `log x`: −1/2 of a y that falls as 1/√x.

    Args:
        x: Above 0.
        y: Above 0.
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def slope_with_error(data: pd.DataFrame, x: str, y: str) -> str:
    """The slope fitted to each seed by itself, as mean ± standard deviation over the seeds."""
    slopes = [slope(values(rows, x), values(rows, y)) for _, rows in groups(data, "seed")]
    return f"{np.mean(slopes):.2f} ± {np.std(slopes, ddof=1):.2f}".replace("-", "−")
