"""Cutout's square: where it lies, how large it is, and what stands in it."""

import numpy as np
import pytest
import torch

from nearfar.views.cutout import cut_out
from nearfar.views.specs import DigitsViewsSpec, SimCLRViewsSpec


def slow_cutout(view, row, column, side):
    """DeVries & Taylor's: rows and columns from half a side before the middle on, cut at edges."""
    result = view.clone()
    extent = view.shape[1]
    for y in range(extent):
        for x in range(extent):
            in_rows = row - side // 2 <= y < row - side // 2 + side
            if in_rows and column - side // 2 <= x < column - side // 2 + side:
                result[:, y, x] = torch.tensor([0.1, 0.2])
    return result


@pytest.mark.parametrize("side", [1, 4, 5, 30])
def test_each_view_loses_its_own_square(side):
    views = torch.rand(30, 2, 9, 9)
    middle = torch.randint(0, 9, (30, 2))
    result = cut_out(views, middle, side, torch.tensor([0.1, 0.2]))
    for view, place, found in zip(views, middle.tolist(), result, strict=True):
        assert torch.equal(found, slow_cutout(view, *place, side))


@pytest.mark.parametrize("implementation", ["fused", "exact"])
def test_the_square_has_the_mean_colour_and_is_anywhere(implementation):
    spec = SimCLRViewsSpec(cutout=0.5, jitter=0.0, grey=0.0, implementation=implementation)
    views = spec.build((3, 16, 16), mean=(0.2, 0.4, 0.6), std=(0.5, 0.5, 0.5))
    images = torch.full((3000, 3, 16, 16), 255, dtype=torch.uint8)
    normal = views.draw(images, torch.Generator().manual_seed(0))
    plain = views.draw(images, torch.Generator().manual_seed(0), normalise=False)
    gone = normal[:, 0] == 0
    assert (normal == 0).all(dim=1).equal(gone)
    for channel, mean in enumerate((0.2, 0.4, 0.6)):
        assert torch.allclose(plain[:, channel][gone], torch.tensor(mean))
        assert torch.allclose(plain[:, channel][~gone], torch.tensor(1.0))
    # A pixel is lost where the middle is one of the 8 × 8 about it that lie inside.
    inside = np.array(
        [sum(0 <= place - 4 + step + 1 < 16 for step in range(8)) for place in range(16)]
    )
    expected = torch.tensor(np.outer(inside, inside) / 16**2)
    assert (gone.double().mean(dim=0) - expected).abs().max() < 0.04


def test_a_square_of_nothing_and_one_larger_than_the_view():
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    for cutout, gone in ((0.05, False), (1.0, True)):
        views = DigitsViewsSpec(cutout=cutout).build((1, 8, 8), mean=(0.5,), std=(0.5,))
        view = views.draw(images, torch.Generator().manual_seed(1))
        assert view.isfinite().all()
        assert bool((view == 0).flatten(1).sum(dim=1).min() >= 16) == gone
