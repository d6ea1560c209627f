"""Pairs of views at an exact angle, where float32 is easily lost."""

import math

import torch
from torch.nn import functional as F


def aligned_views(batch, dim, cosine, seed=0):
    """Two views in float32 whose rows have this cosine with their own pair."""
    generator = torch.Generator().manual_seed(seed)
    first, other = torch.randn(2, batch, dim, generator=generator, dtype=torch.float64)
    first = F.normalize(first, dim=1)
    across = F.normalize(other - (other * first).sum(dim=1, keepdim=True) * first, dim=1)
    return first.float(), (cosine * first + math.sqrt(1 - cosine**2) * across).float()


def gradient_error(objective, *inputs):
    """Relative error (Euclidean norm) of the float32 gradient against that in float64."""
    gradients = []
    for dtype in (torch.float32, torch.float64):
        held = [x.to(dtype).requires_grad_() for x in inputs]
        found = torch.autograd.grad(objective(*held), held)
        gradients.append(torch.cat([x.double().flatten() for x in found]))
    ours, exact = gradients
    return float((ours - exact).norm() / exact.norm())
