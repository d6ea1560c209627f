"""The learning rate as a function of the step alone, so that resuming needs no state for it."""

import math
from collections.abc import Sequence


def learning_rate_at(
    step: int, *, peak: float, warmup_steps: int, total_steps: int, drops: Sequence[int] = ()
) -> float:
    """The learning rate of one step: linear warm-up, then a half cosine down to 0, or drops.

    Rises from 0 and reaches `peak` at the last step of the warm-up; the cosine would reach 0 at
    step `total_steps`, which is never taken, so no step is wasted on a rate of 0. With drops there
    is no cosine: the rate is divided by 10 before each of these steps.

    Args:
        step: The step about to be taken, from 0 to `total_steps - 1`.
        peak: Highest learning rate.
        warmup_steps: Steps of the warm-up; 0 for none.
        total_steps: Steps of the whole run.
        drops: Steps from which on the rate is a tenth of what it was before.

    Source:
        Warm-up: Goyal et al. 2017. Cosine: Loshchilov & Hutter 2017, without restarts.
    """
    taken = step + 1
    if taken <= warmup_steps:
        # The share first: it is exactly 1 at the last step, and so is the rate exactly the peak.
        return peak * (taken / warmup_steps)
    if drops:
        return peak * 0.1 ** sum(step >= drop for drop in drops)
    share = (taken - warmup_steps) / (total_steps + 1 - warmup_steps)
    return peak * 0.5 * (1.0 + math.cos(math.pi * share))
