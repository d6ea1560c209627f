"""The CIFAR ResNets have the layers, weights and shortcuts of their paper."""

import pytest
import torch
from torch import nn

from nearfar.encoders.resnets import CIFARResNet, PaddedShortcut
from nearfar.encoders.specs import EncoderSpec
from nearfar.spec import as_spec


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46)])
def test_layers_and_weights_are_those_of_the_paper_s_table(depth, millions):
    encoder = as_spec(EncoderSpec, {"name": f"cifar-resnet{depth}", "width": 16}).build((3, 32, 32))
    convolutions = [each for each in encoder.modules() if isinstance(each, nn.Conv2d)]
    assert len(convolutions) == depth - 1  # the linear layer is the one that is left
    assert {each.kernel_size for each in convolutions} == {(3, 3)}
    count = sum(each.numel() for each in encoder.parameters()) + 64 * 10 + 10
    assert round(count / 1e6, 2) == millions


def test_maps_pass_at_32_16_and_8_pixels():
    encoder = CIFARResNet(channels=3, width=8, blocks=2)
    seen = []
    for block in encoder.stages:
        block.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape[1:])))
    features = encoder(torch.randn(4, 3, 32, 32))
    assert features.shape == (4, encoder.num_features) == (4, 32)
    assert seen == [(8, 32, 32)] * 2 + [(16, 16, 16)] * 2 + [(32, 8, 8)] * 2
    features.sum().backward()
    assert all(each.grad is not None for each in encoder.parameters())


def test_a_shortcut_takes_every_second_pixel_between_channels_of_zeros():
    images = torch.randn(2, 4, 5, 5)
    out = PaddedShortcut(4)(images)
    assert out.shape == (2, 8, 3, 3)
    assert torch.equal(out[:, 2:6], images[:, :, ::2, ::2])
    assert not out[:, :2].any()
    assert not out[:, 6:].any()


def test_a_block_passes_on_its_shortcut_where_its_convolutions_give_nothing():
    encoder = CIFARResNet(channels=3, width=4, blocks=1)
    step = encoder.stages[1].eval()
    nn.init.zeros_(step.bn2.weight)
    images = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(step(images)[:, 2:6], images[:, :, ::2, ::2])
