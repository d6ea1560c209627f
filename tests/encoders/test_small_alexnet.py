"""The small AlexNet has the layers of its paper."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from nearfar.encoders.small_alexnet import SmallAlexNet
from nearfar.encoders.specs import SmallAlexNetSpec
from nearfar.errors import SettingError


def test_it_has_the_layers_of_the_paper():
    encoder = SmallAlexNetSpec(width=96).build((3, 64, 64))
    shapes = [tuple(each.weight.shape) for each in encoder.modules() if isinstance(each, nn.Conv2d)]
    channels = [3, 96, 192, 384, 384, 192]
    assert shapes == [(b, a, 3, 3) for a, b in pairwise(channels)]
    linear = [tuple(each.weight.shape) for each in encoder.modules() if isinstance(each, nn.Linear)]
    # 64 px are pooled to 31, 15 and 7.
    assert linear == [(4096, 192 * 7 * 7), (4096, 4096)]
    assert encoder.num_features == 4096


@pytest.mark.parametrize("side", [15, 16, 33])
def test_every_side_from_15_px_on_passes(side):
    encoder = SmallAlexNet(channels=1, width=2, image_size=side, num_features=8)
    features = encoder(torch.randn(3, 1, side, side))
    assert features.shape == (3, 8)
    assert (features >= 0).all()
    features.sum().backward()
    assert all(each.grad is not None for each in encoder.parameters())


def test_smaller_images_are_refused():
    with pytest.raises(SettingError, match=r"small-alexnet takes images of 15 px or more.*have 14"):
        SmallAlexNetSpec().build((3, 14, 14))
