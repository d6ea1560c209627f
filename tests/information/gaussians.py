"""Correlated Gaussians with a mutual information that is known."""

import numpy as np


def gaussian_pairs(count, dim, information, seed=0):
    """`(x, z)`, `(count, dim)` each, whose columns share `information` nats in all."""
    random = np.random.default_rng(seed)
    correlation = np.sqrt(1 - np.exp(-2 * information / dim))
    x, noise = random.normal(size=(2, count, dim))
    return x, correlation * x + np.sqrt(1 - correlation**2) * noise
