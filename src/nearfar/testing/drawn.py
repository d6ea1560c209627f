"""Inputs of objectives, drawn at random: functions `(batch, dim, seed)` to float64 tensors."""

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


def views_and_labels(number: int) -> Callable[[int, int, int], tuple[Tensor, ...]]:
    """A number of views and the examples' labels: two classes or more, of unequal sizes."""

    def draw(batch: int, dim: int, seed: int) -> tuple[Tensor, ...]:
        labels = torch.arange(batch) % max(2, batch // 3)
        if batch > 3:
            labels[-1] = labels[0] + 5 * (seed % 2)
        return (*views(number)(batch, dim, seed), labels)

    return draw


def views_and(*more: tuple[int, ...] | float) -> Callable[[int, int, int], tuple[Tensor, ...]]:
    """Two views and more: numbers, or embeddings of a shape in which −1 stands for the batch."""

    def draw(batch: int, dim: int, seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed + 1)
        drawn = [
            torch.tensor(what, dtype=torch.float64)
            if isinstance(what, float | int)
            else torch.randn(
                *(batch if size == -1 else size for size in what),
                dim,
                generator=generator,
                dtype=torch.float64,
            )
            for what in more
        ]
        return (*views(2)(batch, dim, seed), *drawn)

    return draw


def labelled(batch: int, dim: int, seed: int, fewest: int = 1) -> tuple[Tensor, Tensor]:
    """Rows that lie about their class's own, in classes of about three; at times one of one row."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(batch) % max(fewest, batch // 3)
    if batch > 3 and seed % 2:
        labels[-1] = labels.max() + 1
    centres = torch.randn(batch + 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(batch, dim, generator=generator, dtype=torch.float64)
    return centres[labels] + 0.8 * noise, labels
