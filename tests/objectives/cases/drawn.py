"""Embeddings drawn for the cases."""

from collections.abc import Callable

import torch
from torch import Tensor


def rows(batch: int, dim: int, seed: int) -> tuple[Tensor, ...]:
    """One embedding an example."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, dim, generator=generator, dtype=torch.float64),)


def views(number: int) -> Callable[[int, int, int], tuple[Tensor, ...]]:
    """A function that draws a number of views of each example, the same but for noise."""

    def draw(batch: int, dim: int, seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        example = torch.randn(batch, dim, generator=generator, dtype=torch.float64)
        noise = torch.randn(number, batch, dim, generator=generator, dtype=torch.float64)
        return tuple(example + 0.7 * noise)

    return draw
