"""Every bound as the tests see it, with its equation as a loop over Python numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nearfar.estimators.donsker_varadhan import donsker_varadhan
from nearfar.estimators.info_nce import info_nce_bound, interpolated
from nearfar.estimators.jensen_shannon import jensen_shannon, jensen_shannon_information, smile
from nearfar.estimators.nwj import nwj, tuba

Matrix = list[list[float]]


@dataclass(frozen=True)
class BoundCase:
    """A bound and its equation; both called as `(scores or matrix, log_baseline)`."""

    name: str
    bound: Callable[..., Tensor]
    slow: Callable[[Matrix, list[float]], float]


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values)


def paired(f):
    return [f[i][i] for i in range(len(f))]


def unpaired(f):
    return [f[i][j] for i in range(len(f)) for j in range(len(f)) if i != j]


def softplus(value):
    return math.log1p(math.exp(value))


def slow_donsker_varadhan(f, _):
    return mean(paired(f)) - math.log(mean(math.exp(s) for s in unpaired(f)))


def slow_nwj(f, _):
    return mean(paired(f)) - mean(math.exp(s) for s in unpaired(f)) / math.e


def slow_tuba(f, log_baseline):
    total = 0.0
    for j in range(len(f)):
        a = math.exp(log_baseline[j])
        independent = mean(math.exp(f[i][j]) for i in range(len(f)) if i != j)
        total += f[j][j] - (independent / a + math.log(a) - 1)
    return total / len(f)


def slow_jensen_shannon(f, _):
    return mean(-softplus(-s) for s in paired(f)) - mean(softplus(s) for s in unpaired(f))


def slow_jensen_shannon_information(f, _):
    return slow_nwj([[s + 1 for s in row] for row in f], None)


def slow_smile(f, _):
    clipped = (min(max(math.exp(s), math.exp(-0.5)), math.exp(0.5)) for s in unpaired(f))
    return mean(paired(f)) - math.log(mean(clipped))


def slow_info_nce(f, _):
    shares = (math.exp(f[i][i]) / math.fsum(math.exp(s) for s in f[i]) for i in range(len(f)))
    return math.log(len(f)) + mean(math.log(share) for share in shares)


def slow_interpolated(f, log_baseline, alpha):
    """Each y with each choice of K = N − 1 of the x: with its own among them, or without."""
    n = len(f)
    joint, independent = [], []
    for j in range(n):
        others = [i for i in range(n) if i != j]
        for left_out in others:
            among = [i for i in range(n) if i != left_out]
            m = mean(math.exp(f[i][j]) for i in among)
            b = alpha * m + (1 - alpha) * math.exp(log_baseline[j])
            joint.append(math.log(math.exp(f[j][j]) / b))
        m = mean(math.exp(f[i][j]) for i in others)
        b = alpha * m + (1 - alpha) * math.exp(log_baseline[j])
        independent += [math.exp(f[i][j]) / b for i in others]
    return 1 + mean(joint) - mean(independent)


def _without_baseline(bound, **settings):
    return lambda scores, _log_baseline: bound(scores, **settings)


CASES = [
    BoundCase("donsker_varadhan", _without_baseline(donsker_varadhan), slow_donsker_varadhan),
    BoundCase("nwj", _without_baseline(nwj), slow_nwj),
    BoundCase("tuba", tuba, slow_tuba),
    BoundCase("jensen_shannon", _without_baseline(jensen_shannon), slow_jensen_shannon),
    BoundCase(
        "jensen_shannon_information",
        _without_baseline(jensen_shannon_information),
        slow_jensen_shannon_information,
    ),
    BoundCase("smile", _without_baseline(smile, clip=0.5), slow_smile),
    BoundCase("info_nce", _without_baseline(info_nce_bound), slow_info_nce),
    *(
        BoundCase(
            f"interpolated {alpha}",
            lambda scores, log_baseline, alpha=alpha: interpolated(scores, log_baseline, alpha),
            lambda f, log_baseline, alpha=alpha: slow_interpolated(f, log_baseline, alpha),
        )
        for alpha in (0.0, 0.01, 0.5, 1.0)
    ),
]


def drawn(n: int, dim: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and a log-baseline in float64."""
    generator = torch.Generator().manual_seed(seed)
    queries, keys = torch.randn(2, n, dim, generator=generator, dtype=torch.float64)
    return queries, keys, torch.randn(n, generator=generator, dtype=torch.float64)
