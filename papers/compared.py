"""Which of two is ahead, in words: seed by seed, beyond the interval of 95 %."""

from collections.abc import Sequence

import numpy as np
from tools.markdown import mean_and_sd

from papers.reproductions.power import interval_reach


def compared(
    by: str, names: Sequence[str], apart: np.ndarray, form: str, *, unit: str = "", lower: bool
) -> str:
    """A sentence on two arms that were trained with the same seeds.

    Args:
        by: What it begins with: by which figure.
        names: Of both.
        apart: The second's figure less the first's, of each seed.
        form: Of a number, as `format` takes it, with its sign.
        unit: Behind the numbers.
        lower: Whether the lower figure is the better one.
    """
    first, second = names
    lead = f"{second}: {mean_and_sd(apart, form).replace('± +', '± ')}{unit}"
    if len(apart) < 2 or abs(apart.mean()) <= interval_reach(apart.std(ddof=1), len(apart)):
        return f"{by} the two cannot be told apart ({lead})."
    return f"{by} {second if (apart.mean() > 0) != lower else first} is ahead ({lead})."
