"""Each colour operation against torchvision's, image by image."""

import pytest
import torch
from torchvision.transforms.v2 import functional as TF

from nearfar.views import colour

FACTORS = torch.tensor([0.0, 0.2, 0.7, 1.0, 1.3, 1.8, 5.0])


def _images(channels):
    """Random colours, among them greys, black, white and equal channels."""
    images = torch.rand(len(FACTORS), channels, 9, 11)
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1] = 0
    images[:, :, 2] = 1
    images[:, 0, 3] = images[:, -1, 3]
    return images


@pytest.mark.parametrize(
    ("name", "channels"),
    [("brightness", 1), ("brightness", 3), ("contrast", 1), ("contrast", 3), ("saturation", 3)],
)
def test_factors(name, channels):
    images = _images(channels)
    expected = [
        getattr(TF, f"adjust_{name}")(image, float(factor))
        for image, factor in zip(images, FACTORS, strict=True)
    ]
    result = getattr(colour, name)(images, FACTORS)
    torch.testing.assert_close(result, torch.stack(expected), atol=1e-6, rtol=1e-5)


def test_hue():
    shifts = torch.tensor([-0.5, -0.31, -0.1, 0.0, 0.02, 0.2, 0.5])
    images = _images(3)
    expected = [
        TF.adjust_hue(image, float(shift)) for image, shift in zip(images, shifts, strict=True)
    ]
    torch.testing.assert_close(
        colour.hue(images, shifts), torch.stack(expected), atol=1e-5, rtol=1e-5
    )


def test_hue_by_a_third_turns_the_channels():
    images = _images(3)
    third = torch.full((len(images),), 1 / 3)
    torch.testing.assert_close(colour.hue(images, third), images.roll(1, 1), atol=1e-5, rtol=0)


def test_grey_and_solarize_touch_the_chosen_alone():
    images = _images(3)
    chosen = torch.tensor([True, False, True, False, False, True, False])
    for result, expected in (
        (colour.grey(images, chosen), TF.rgb_to_grayscale(images, num_output_channels=3)),
        (colour.solarize(images, chosen), TF.solarize(images, 0.5)),
    ):
        torch.testing.assert_close(result[chosen], expected[chosen], atol=1e-6, rtol=0)
        assert torch.equal(result[~chosen], images[~chosen])


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_contrast_of_any_channels_is_about_the_mean_of_all_values(channels):
    images = torch.rand(2, channels, 4, 4) * 0.2 + 0.4
    result = colour.contrast(images, torch.tensor([0.0, 2.0]))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(result[:1], mean[:1].expand(1, channels, 4, 4))
    torch.testing.assert_close(result[1:] - mean[1:], 2 * (images[1:] - mean[1:]))
