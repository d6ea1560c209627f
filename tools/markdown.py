"""Markdown tables of measured figures."""

from collections.abc import Sequence

import numpy as np


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns but the first are aligned to the right."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, marks, *rows))


def mean_and_sd(values: np.ndarray, form: str = ".3f") -> str:
    """Mean ± sample standard deviation; the mean alone of a single value.

    Args:
        values: One or more.
        form: Of either number, as `format` takes it.
    """
    mean = f"{values.mean():{form}}".replace("-", "−")
    return mean if len(values) < 2 else f"{mean} ± {values.std(ddof=1):{form}}".replace("-", "−")
