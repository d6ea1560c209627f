"""Resizing, blurring and rotation against torchvision's, for any shape."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as TF

from nearfar.views.resampling import (
    along_columns,
    along_rows,
    blur_taps,
    gaussian_kernels,
    neighbours,
    resize_taps,
    rotate,
)

sides = st.integers(1, 40)


@given(sides, sides, st.integers(1, 40), st.integers(1, 4), st.data())
def test_resized_crops(height, width, size, channels, data):
    images = torch.rand(3, channels, height, width)
    boxes = []
    for _ in images:
        rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
        top = data.draw(st.integers(0, height - rows))
        boxes.append((top, data.draw(st.integers(0, width - columns)), rows, columns))
    mirrored = torch.tensor([False, True, False])
    expected = torch.stack(
        [
            TF.resized_crop(image, *box, size=[size, size], antialias=True)
            for image, box in zip(images, boxes, strict=True)
        ]
    )
    expected[1] = TF.horizontal_flip(expected[1])
    top, left, rows, columns = torch.tensor(boxes).unbind(1)
    down = resize_taps(top, rows, source=height, target=size)
    across = resize_taps(left, columns, source=width, target=size, mirrored=mirrored)
    result = along_columns(along_rows(images, down), across)
    torch.testing.assert_close(result, expected, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(down.weight.sum(dim=2), torch.ones(3, size))


@given(st.integers(1, 5), st.integers(6, 40), st.integers(1, 3), st.floats(0.1, 3.0))
def test_blur(radius, side, channels, sigma):
    images = torch.rand(2, channels, side, side)
    sigmas = torch.tensor([sigma, 2 * sigma])
    expected = torch.stack(
        [
            TF.gaussian_blur(image, [2 * radius + 1] * 2, [float(one)] * 2)
            for image, one in zip(images, sigmas, strict=True)
        ]
    )
    kernels = gaussian_kernels(sigmas, radius)
    taps = blur_taps(kernels, neighbours(side, radius, images.device))
    result = along_columns(along_rows(images, taps), taps)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_a_kernel_of_no_width_is_the_pixel_itself():
    expected = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
    assert torch.equal(gaussian_kernels(torch.zeros(1), 2), expected)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 32])
def test_rotation(size):
    angles = torch.tensor([0.0, 11.0, -30.0, 90.0, 180.0])
    images = torch.rand(len(angles), 3, size, size)
    expected = [
        TF.rotate(image, float(angle), interpolation=TF.InterpolationMode.BILINEAR)
        for image, angle in zip(images, angles, strict=True)
    ]
    torch.testing.assert_close(rotate(images, angles), torch.stack(expected), atol=1e-4, rtol=0)
