"""Embeddings with labels drawn for the cases."""

import torch
from torch import Tensor


def labelled(batch: int, dim: int, seed: int, fewest: int = 1) -> tuple[Tensor, Tensor]:
    """Rows that lie about their class's own, in classes of about three; at times one of one row."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(batch) % max(fewest, batch // 3)
    if batch > 3 and seed % 2:
        labels[-1] = labels.max() + 1
    centres = torch.randn(batch + 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(batch, dim, generator=generator, dtype=torch.float64)
    return centres[labels] + 0.8 * noise, labels
