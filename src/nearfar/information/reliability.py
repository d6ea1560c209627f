"""When an estimate should not be trusted, in words: one function for each reason."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

NEAR_CEILING = 1.0
"""Nats below log N. An ideal critic's value 1 nat below log 128 is short of the truth by 0.26 nats
where all pairs tell alike and by 1.15 for 20 correlated Gaussians; nearer to log N, by more."""
FEWEST_EFFECTIVE = 25.0
"""Effective samples: with fewer, the mean of e^f is known to no better than a fifth (1 / √25)."""
OVERFIT = 0.5
"""Nats by which the training part may outdo the test part, beyond what its batches vary."""
RISING = 0.1
"""Nats gained over the last quarter of the steps, where they were used up."""
KSG_APART = 0.5, 0.25
"""Nats, and share of the larger one, that an estimate and KSG may lie apart."""
FEW_VALUES = 0.01
"""Share of a column's values that may not make up half of its variance. An eighth of them do where
they are Gaussian, 5 % of exponential ones, 1.2 % of cubed Gaussians or log-normals with σ = 1, and
0.2 % of log-normals with σ = 1.5."""


def near_ceiling(value: float, batch_size: int) -> str | None:
    """A bound that the batch limits, near its limit."""
    gap = math.log(batch_size) - value
    if not gap < NEAR_CEILING:
        return None
    return (
        f"{gap:.2f} nats below log N = {math.log(batch_size):.2f}, which it cannot exceed: the "
        "information may lie far above; raise the batch size or look at a bound without this limit"
    )


def effective_samples(log_weights: Float[Tensor, " n"]) -> float:
    """How many equal weights would make a mean as uncertain: `(Σ w)² / Σ w²`, 1 to n."""
    log_weights = log_weights.double()
    return float((2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp())


def dominated(effective: float | None, samples: int) -> str | None:
    """A mean of exponentials that a few samples make up."""
    if effective is None or effective >= min(FEWEST_EFFECTIVE, samples / 2):
        return None
    return (
        f"its mean of exponentials rests on about {effective:.0f} of {samples} samples: it varies "
        "more than the interval says; look at InfoNCE, or give more samples"
    )


def over_fitted(training: float, test: float, half_width: float) -> str | None:
    """A critic that knows the samples it learned from by heart."""
    if not training - test > OVERFIT + half_width:
        return None
    return (
        f"{training:.2f} nats on the samples it learned from: the critic over-fits, and more "
        "samples or a smaller critic would find more"
    )


def still_rising(curve: Sequence[tuple[int, float]], max_steps: int) -> str | None:
    """Training that was cut off while it still improved."""
    last_step, last = curve[-1]
    before = max(value for step, value in curve if step <= 0.75 * max_steps)
    if last_step < max_steps or not last - before > RISING:
        return None
    return (
        f"rose by {last - before:.2f} nats in the last quarter of its {max_steps} steps: allow more"
    )


def broke(broke_at: int | None, best_step: int) -> str | None:
    """Training that ended in numbers that are not finite."""
    if broke_at is None:
        return None
    return (
        f"training was no longer finite at step {broke_at}; the critic is that of step {best_step}"
    )


def far_from_ksg(value: float, ksg: float | None) -> str | None:
    """An estimate far from that of nearest neighbours."""
    if ksg is None:
        return None
    nats, share = KSG_APART
    if not abs(value - ksg) > max(nats, share * max(value, ksg)):
        return None
    if value < ksg:
        return f"KSG finds {ksg:.2f} nats: this critic has not found all"
    return (
        f"KSG finds {ksg:.2f} nats: one of the two is wrong; KSG falls short where x and z depend "
        "strongly, and what is no lower bound may be too high"
    )


def repeated(count: int, test: int) -> str | None:
    """Test samples that are copies of samples to learn from."""
    if not count > 0.01 * test:
        return None
    return (
        f"{count} of {test} test samples occur in the training part too, to the last bit: where "
        "they are copies and not chance, remove them, or every estimate is too high"
    )


def carried_by_few(column: Float[ndarray, " n"], share: float = FEW_VALUES) -> int | None:
    """How many values make up half of a column's variance, or more, where these are few.

    A column where all the others are the same has none: its rare value is no outlier.

    Args:
        column: Finite.
        share: Of all values, up to which they are few; one value always is.

    Returns:
        Their number; None where they are more.
    """
    largest = np.abs(column).max()
    if largest == 0:
        return None
    scaled = column / largest  # whose squares are finite
    squares = np.square(scaled - scaled.mean())
    most = max(1, int(share * len(column)))
    edge = np.partition(squares, -most)[-most]
    # Equal values count together: they are few, or none of them is.
    few = squares >= edge if (squares >= edge).sum() <= most else squares > edge
    others = column[~few]
    if squares[few].sum() < squares.sum() / 2 or (others == others[:1]).all():
        return None
    falling = np.cumsum(np.sort(squares[few])[::-1])
    return 1 + int(np.searchsorted(falling, squares.sum() / 2))


def heavy_tails(name: str, values: Float[ndarray, "n features"]) -> str | None:
    """Columns with outliers or heavy tails."""
    counts = {place: carried_by_few(column) for place, column in enumerate(values.T)}
    few = {place: count for place, count in counts.items() if count}
    if not few:
        return None
    place, count = next(iter(few.items()))
    first = f"half of its variance or more comes from {count} of {len(values)} values"
    if len(counts) > 1:
        first = f"column {place}: {first}"
    others = len(few) - 1
    likewise = f", and likewise in {others} other column{'s' * (others > 1)}" if others else ""
    return (
        f"{name}: {first}{likewise}; such values count by their rank: if they are errors, leave "
        "out their pairs"
    )
