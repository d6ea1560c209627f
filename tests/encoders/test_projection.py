"""The projection heads are the published ones."""

import torch
from torch import nn

from nearfar.encoders.mlp import ProjectionHead


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


def test_the_three_layer_head_has_no_batch_norm():
    head = ProjectionHead(6, 5, 4, depth=2, batch_norm=False, hidden_bias=True)
    kinds = [type(layer) for layer in head]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    features = torch.randn(7, 6)
    hidden = features
    for layer in list(head)[:-1:2]:
        hidden = (hidden @ layer.weight.T + layer.bias).relu()
    torch.testing.assert_close(head(features), hidden @ head[-1].weight.T + head[-1].bias)
