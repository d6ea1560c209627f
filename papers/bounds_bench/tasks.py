"""What the bounds are tried on: distributions, and how much their variables share, in turn."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.bounds_bench.distributions import gaussian
from papers.bounds_bench.distributions.pictures import light_spots
from papers.bounds_bench.distributions.random_bijection import renamed_categories
from papers.bounds_bench.distributions.student_t import multivariate_t
from papers.bounds_bench.distributions.uniform_noise import additive_noise

STAIRCASE = (2.0, 4.0, 6.0, 8.0, 10.0)
OTHERS = (4.0,)

Sampler = Callable[[float, int, torch.Generator], tuple[Tensor, Tensor]]
"""`(information in nats, count, generator) -> count pairs of x and y`, a row each."""


@dataclass(frozen=True)
class Task:
    """A distribution and its levels.

    Attributes:
        name: On the command line and in tables of measurements.
        title: For the page.
        sample: Draws pairs that share so many nats.
        levels: How many, one after the other; the critic learns on.
    """

    name: str
    title: str
    sample: Sampler
    levels: tuple[float, ...]


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("gaussian", "Gaussian, d = 20", gaussian.correlated, STAIRCASE),
        Task("cubed", "Gaussian, d = 20, y cubed", gaussian.cubed, STAIRCASE),
        Task("uniform", "uniform with uniform noise, d = 5", additive_noise, OTHERS),
        Task("student_t", "Student's t, ν = 3, d = 5", multivariate_t, OTHERS),
        Task("bijection", "64 categories renamed", renamed_categories, OTHERS),
        Task("pictures", "16 × 16 pictures of 3 numbers", light_spots, OTHERS),
    )
}
