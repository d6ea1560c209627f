"""Markdown tables of measured figures."""

import statistics
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns but the first are aligned to the right."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, marks, *rows))


def mean_and_sd(values: Iterable[float], form: str = ".3f") -> str:
    """Mean ± sample standard deviation; the mean alone of a single value or of equal ones.

    Args:
        values: Nothing is written of none.
        form: Of either number, as `format` takes it.
    """
    values = list(values)
    if not values:
        return ""
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    text = f"{statistics.fmean(values):{form}}" + (f" ± {sd:{form}}" if sd > 0 else "")
    return text.replace("-", "−")
