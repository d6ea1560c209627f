"""Split batch-norm is as many batch-norms as parts, and in evaluation an ordinary one."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError
from nearfar.methods.batch_norm import SplitBatchNorm, split_batch_norm
from nearfar.spec import as_spec

LAYERS = {
    "maps": (lambda: nn.BatchNorm2d(3), (3, 4, 4)),
    "rows": (lambda: nn.BatchNorm1d(3), (3,)),
    "cumulative": (lambda: nn.BatchNorm2d(3, momentum=None), (3, 2, 2)),
    "without scale and shift": (lambda: nn.BatchNorm1d(3, affine=False, momentum=0.3), (3,)),
    "without statistics": (lambda: nn.BatchNorm1d(3, track_running_stats=False), (3,)),
}


@pytest.mark.parametrize("splits", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", LAYERS)
def test_it_is_a_batch_norm_of_its_own_for_each_part(kind, splits):
    build, shape = LAYERS[kind]
    layer = build().double()
    if layer.affine:
        nn.init.normal_(layer.weight)
    alone = [copy.deepcopy(layer) for _ in range(splits)]
    split = SplitBatchNorm.in_place_of(copy.deepcopy(layer), splits)
    for _ in range(2):
        batch = torch.randn(11, *shape).double() * 3 + 1
        inputs = batch.clone().requires_grad_()
        found = split(inputs)
        parts = batch.clone().requires_grad_()
        expected = torch.cat(
            [one(part) for one, part in zip(alone, parts.tensor_split(splits), strict=True)]
        )
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        weights = torch.randn_like(found)
        (found * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(inputs.grad, parts.grad, rtol=1e-10, atol=1e-10)
    if layer.affine:
        torch.testing.assert_close(split.weight.grad, sum(one.weight.grad for one in alone))
        torch.testing.assert_close(split.bias.grad, sum(one.bias.grad for one in alone))
    if layer.track_running_stats:
        for name in ("running_mean", "running_var"):
            # Two steps of each part's own average, whose mean is the average of the means.
            mean = torch.stack([getattr(one, name) for one in alone]).mean(0)
            torch.testing.assert_close(getattr(split, name), mean, rtol=1e-12, atol=1e-12)
        assert split.num_batches_tracked == 2


def test_in_evaluation_it_is_ordinary_batch_norm():
    layer = nn.BatchNorm2d(3)
    split = SplitBatchNorm.in_place_of(layer, 4)
    split(torch.randn(8, 3, 2, 2) + 1)
    split.eval()
    layer.eval()
    batch = torch.randn(3, 3, 2, 2)
    assert torch.equal(split(batch), layer(batch))
    assert torch.equal(split.running_mean, layer.running_mean)


@pytest.mark.parametrize("name", ["small-resnet", "timm/resnet18"])
def test_every_batch_norm_of_an_encoder_is_split_and_its_state_stays(name):
    encoder = as_spec(EncoderSpec, {"name": name}).build((3, 16, 16))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    parameters = list(encoder.parameters())
    split_batch_norm(encoder, 2)
    layers = [layer for layer in encoder.modules() if isinstance(layer, _BatchNorm)]
    assert layers
    assert all(isinstance(layer, SplitBatchNorm) for layer in layers)
    after = encoder.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert all(one is other for one, other in zip(encoder.parameters(), parameters, strict=True))
    images = torch.randn(6, 3, 16, 16)
    both = copy.deepcopy(encoder)(images)
    # Each half is alone in its company.
    torch.testing.assert_close(both[:3], alone(encoder, images[:3]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both[3:], alone(encoder, images[3:]), rtol=1e-4, atol=1e-5)


def alone(encoder: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the encoder gives with its batch-norm whole."""
    whole = copy.deepcopy(encoder)
    for layer in whole.modules():
        if isinstance(layer, SplitBatchNorm):
            layer.splits = 1
    return whole(images)


class OwnBatchNorm(nn.BatchNorm1d):
    """One that does more than torch's."""


def test_what_cannot_be_split_is_refused():
    with pytest.raises(SettingError, match="batch_norm_splits is 2: the encoder has no batch-norm"):
        split_batch_norm(nn.Sequential(nn.Linear(2, 2)), 2)
    with pytest.raises(SettingError, match="OwnBatchNorm cannot be split"):
        split_batch_norm(nn.Sequential(OwnBatchNorm(2)), 2)


def test_a_part_of_one_example_is_refused():
    layer = SplitBatchNorm.in_place_of(nn.BatchNorm2d(3), 4)
    with pytest.raises(SettingError, match="batch_norm_splits is 4: 7 examples"):
        layer(torch.randn(7, 3, 2, 2))
    assert layer.eval()(torch.randn(7, 3, 2, 2)).shape == (7, 3, 2, 2)
