"""Convolutions of small maps give torch's own values and gradients, by one product of matrices."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nearfar.encoders.small_maps import SmallMapConv2d, small_maps_as_products
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec, TimmSpec


def _both(layer: nn.Conv2d) -> tuple[nn.Conv2d, nn.Module]:
    """Torch's own layer, and the same as a product where it can be one."""
    return layer, small_maps_as_products(nn.Sequential(copy.deepcopy(layer)))[0]


def _refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, torch's own convolution fails."""

    def fail(*_: object) -> None:
        raise AssertionError("torch's own convolution")

    monkeypatch.setattr(nn.Conv2d, "forward", fail)


@settings(deadline=None)
@given(
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    bias=st.booleans(),
    last=st.booleans(),
)
def test_values_gradients_and_second_gradients_are_those_of_a_convolution(
    height: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    bias: bool,
    last: bool,
) -> None:
    if height + 2 * padding[0] < kernel[0] or width + 2 * padding[1] < kernel[1]:
        return
    order = torch.channels_last if last else torch.contiguous_format
    plain, product = _both(nn.Conv2d(3, 4, kernel, stride, padding, bias=bias).double())
    maps = torch.randn(40, 3, height, width, dtype=torch.float64).to(memory_format=order)
    found = []
    for layer in (plain, product):
        given_ = maps.clone().requires_grad_()
        made = layer(given_)
        wanted = [given_, *layer.parameters()]
        first = torch.autograd.grad(made.sin().sum(), wanted, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), wanted[:2])
        found.append([made, *first, *second])
        assert made.is_contiguous(memory_format=order)
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [
        (1, 3, 1, 1),
        (2, 3, 1, 1),
        (2, 3, 2, 1),
        (2, 7, 2, 3),
        (2, 2, 2, 0),
        (1, 5, 1, 2),
        (2, 1, 2, 0),
        (1, 1, 1, 0),
    ],
)
def test_small_maps_do_without_torchs_convolution(
    side: int, kernel: int, stride: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, product = _both(nn.Conv2d(3, 4, kernel, stride, padding))
    _refuses(monkeypatch)
    assert product(torch.randn(32, 3, side, side)).shape[:2] == (32, 4)
    with pytest.raises(AssertionError, match="torch's own"):  # few examples
        product(torch.randn(31, 3, side, side))
    with pytest.raises(AssertionError, match="torch's own"):  # larger maps
        product(torch.randn(32, 3, 3, 3))
    with pytest.raises(AssertionError, match="torch's own"):  # judging
        product.eval()(torch.randn(32, 3, side, side))


def test_one_map_without_a_batch_is_convolved() -> None:
    plain, product = _both(nn.Conv2d(40, 4, 3, padding=1))
    torch.testing.assert_close(product(torch.ones(40, 2, 2)), plain(torch.ones(40, 2, 2)))


class _OfItsOwnKind(nn.Conv2d):
    """Another library's."""


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same"),
        _OfItsOwnKind(4, 4, 3, padding=1),
    ],
)
def test_other_convolutions_are_left(layer: nn.Conv2d) -> None:
    kind = type(layer)
    small_maps_as_products(nn.Sequential(layer))
    assert type(layer) is kind


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_low_precision_is_as_near_as_a_convolution(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    plain, product = _both(nn.Conv2d(64, 64, 3, padding=1))
    maps, aim = torch.randn(64, 64, 2, 2), torch.randn(64, 64, 2, 2)

    def gradients(layer: nn.Module, *, low: bool) -> list[torch.Tensor]:
        with torch.autocast("cpu", precision, enabled=low):
            made = layer(maps)
        assert made.dtype == (precision if low else torch.float32)
        return [made.float(), *torch.autograd.grad((made.float() * aim).sum(), layer.parameters())]

    exact = gradients(plain, low=False)
    for own, torchs, right in zip(
        gradients(product, low=True), gradients(plain, low=True), exact, strict=True
    ):
        scale = right.abs().max()
        assert (own - right).abs().max() / scale < 2 * (torchs - right).abs().max() / scale + 1e-6


@pytest.mark.parametrize(
    ("spec", "side"), [(SmallResNetSpec(width=4), 8), (TimmSpec(name="timm/resnet10t"), 32)]
)
def test_backbones_train_as_they_did(
    spec: EncoderSpec, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = spec.build((3, side, side)).double()
    plain = copy.deepcopy(encoder)
    for layer in plain.modules():
        if isinstance(layer, SmallMapConv2d):
            layer.__class__ = nn.Conv2d
    assert list(encoder.state_dict()) == list(plain.state_dict())
    assert type(plain.get_submodule(_deepest(encoder))) is nn.Conv2d
    images = torch.randn(32, 3, side, side, dtype=torch.float64)
    for network in (encoder, plain):
        network(images).sin().sum().backward()
    for (name, own), other in zip(encoder.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-7, atol=1e-9, msg=name)


def _deepest(encoder: nn.Module) -> str:
    """The last convolution that can be a product."""
    return [name for name, layer in encoder.named_modules() if isinstance(layer, SmallMapConv2d)][
        -1
    ]
