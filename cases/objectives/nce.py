"""Logistic noise-contrastive estimation."""

import math

import torch

from nearfar.objectives import nce
from nearfar.testing import ObjectiveCase


def slow_nce(model_of_data, noise_of_data, model_of_noise, noise_of_noise):
    ratio = len(model_of_noise) / len(model_of_data)

    def probability_of_data(model, noise):
        # exp(G − log ν) / (1 + exp(G − log ν)), as a ratio of densities.
        return math.exp(model) / (math.exp(model) + ratio * math.exp(noise))

    data = zip(model_of_data.tolist(), noise_of_data.tolist(), strict=True)
    noise = zip(model_of_noise.tolist(), noise_of_noise.tolist(), strict=True)
    return -(
        math.fsum(math.log(probability_of_data(*each)) for each in data)
        + math.fsum(math.log(1 - probability_of_data(*each)) for each in noise)
    ) / len(model_of_data)


def log_densities(batch, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    counts = (batch, batch, batch + dim, batch + dim)
    return tuple(torch.randn(n, generator=generator, dtype=torch.float64) - 1 for n in counts)


CASES = [
    ObjectiveCase(
        "nce",
        nce,
        slow_nce,
        log_densities,
        common=(2, 3),
        unbounded=(0, 1, 2, 3),
        smallest_batch=1,
    )
]
