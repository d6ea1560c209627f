"""The projection head is the published one."""

import torch
from torch import nn

from nearfar.encoders.projection import ProjectionHead


def test_the_head_is_linear_batch_norm_relu_linear():
    head = ProjectionHead(6, 5, 4)
    first, norm, _, last = head
    assert isinstance(first, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(last, nn.Linear)
    features = torch.randn(7, 6)
    hidden = features @ first.weight.T
    centred = hidden - hidden.mean(dim=0)
    scaled = centred / (centred.square().mean(dim=0) + norm.eps).sqrt()
    expected = scaled.relu() @ last.weight.T + last.bias
    torch.testing.assert_close(head(features), expected)
