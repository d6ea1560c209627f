"""Rotations and evenly spread points, for tests of what lives on a sphere."""

import math

import torch


def random_rotation(dim, seed):
    """An orthogonal matrix in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64)).Q


def even_circle(count):
    """Points at equal angles on the circle, in float64."""
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return torch.stack((angles.cos(), angles.sin()), dim=1)
