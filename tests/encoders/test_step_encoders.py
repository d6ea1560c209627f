"""Encoders that give steps: nothing of a step depends on a later one."""

import pytest
import torch
from torch import nn

from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import EncoderSpec, PatchGRUSpec, SeriesGRUSpec
from nearfar.encoders.step_encoders import PatchGRU, RowGRU, SeriesGRU, StepEncoder
from nearfar.errors import SettingError
from nearfar.spec import as_spec

STEP_BACKBONES = [
    name
    for name, each in EncoderSpec.known().items()
    if each.gives_steps and each.takes != "texts"  # those: tests/methods/test_cpc_texts.py
]
SHAPES = {"series-gru": (3, 21), "patch-gru": (2, 11, 11)}


def encoder_of(name: str) -> nn.Module:
    torch.manual_seed(4)
    return as_spec(EncoderSpec, {"name": name, "width": 2}).build(SHAPES[name]).double()


def seen_by(output: torch.Tensor, inputs: torch.Tensor) -> list[int]:
    """Places along the inputs' third side on which the output depends, by its gradient."""
    # Weighed at random: what layer-norm gives has a constant sum.
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).double()
    (gradient,) = torch.autograd.grad((output * weights).sum(), inputs, retain_graph=True)
    return (gradient != 0).transpose(0, 2).flatten(1).any(dim=1).nonzero().flatten().tolist()


@pytest.mark.parametrize(("length", "stride", "count"), [(21, 2, 10), (300, 4, 75), (2067, 32, 64)])
def test_no_step_of_a_series_knows_a_later_input(length, stride, count):
    torch.manual_seed(0)
    encoder = SeriesGRU(channels=2, width=2, steps=length).double()
    assert (encoder.stride, encoder.num_steps) == (stride, count)
    series = torch.randn(2, 2, length).double().requires_grad_()
    z, c = encoder.steps(series)
    assert z.shape == c.shape == (2, count, 1, 8)
    for step in (0, 1, 5, count - 1):
        last = stride * (step + 1) - 1
        seen = seen_by(z[:, step], series)
        assert max(seen) == last
        assert min(seen) >= max(0, last - (3 * stride - 2) + 1)
        assert len(seen) <= 3 * stride - 2
        seen = seen_by(c[:, step], series)
        assert (min(seen), max(seen)) == (0, last)


@pytest.mark.parametrize(
    ("side", "patch", "count"), [(8, 2, 7), (11, 4, 4), (28, 8, 6), (40, 10, 7)]
)
def test_no_row_of_patches_knows_a_lower_pixel(side, patch, count):
    torch.manual_seed(0)
    encoder = PatchGRU(channels=2, width=2, image_size=side).double()
    assert (encoder.patch, encoder.stride, encoder.num_steps) == (patch, patch // 2, count)
    images = torch.randn(2, 2, side, side).double().requires_grad_()
    z, c = encoder.steps(images)
    assert z.shape == c.shape == (2, count, count, 8)
    for row in range(count):
        top, below = row * patch // 2, row * patch // 2 + patch
        seen = seen_by(z[:, row], images)
        assert (min(seen), max(seen)) == (top, below - 1)
        seen = seen_by(c[:, row], images)
        assert (min(seen), max(seen)) == (0, below - 1)


def test_a_patch_is_seen_by_itself():
    encoder = PatchGRU(channels=1, width=2, image_size=16)
    images = torch.randn(3, 1, 16, 16)
    whole, _ = encoder.steps(images)
    for row in range(7):
        for column in range(7):
            patch = images[:, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            alone = encoder.patches(patch).flatten(1)
            torch.testing.assert_close(whole[:, row, column], alone)


def test_the_gru_of_rows_on_one_column_is_torch_s_gru():
    torch.manual_seed(2)
    rows, usual = RowGRU(5).double(), nn.GRU(5, 5, batch_first=True).double()
    with torch.no_grad():
        # On a single column only the middle of each kernel meets anything but padding.
        usual.weight_ih_l0.copy_(rows.inputs.weight[:, :, 0, 1])
        usual.weight_hh_l0.copy_(rows.state.weight[:, :, 1])
        usual.bias_ih_l0.copy_(rows.inputs.bias)
        usual.bias_hh_l0.copy_(rows.state.bias)
    patches = torch.randn(3, 4, 1, 5).double()
    torch.testing.assert_close(rows(patches).squeeze(2), usual(patches.squeeze(2))[0])


def test_a_row_s_state_sees_one_column_more_with_each_row_above():
    torch.manual_seed(2)
    patches = torch.randn(1, 3, 9, 4).double().requires_grad_()
    states = RowGRU(4).double()(patches)
    (gradient,) = torch.autograd.grad(states[0, 2, 4].sum(), patches)
    seen = [row.any(dim=1).nonzero().flatten().tolist() for row in gradient[0] != 0]
    assert seen == [[1, 2, 3, 4, 5, 6, 7], [2, 3, 4, 5, 6], [3, 4, 5]]


@pytest.mark.parametrize("name", STEP_BACKBONES)
def test_features_are_the_mean_context_and_train_every_weight(name):
    encoder = encoder_of(name)
    assert isinstance(encoder, StepEncoder)
    examples = torch.randn(4, *SHAPES[name]).double()
    features = encoder(examples)
    assert features.shape == (4, encoder.num_features)
    contexts = encoder.steps(examples)[1].flatten(1, 2)
    torch.testing.assert_close(features, sum(contexts.unbind(1)) / contexts.shape[1])
    features.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("name", STEP_BACKBONES)
def test_contexts_are_in_full_precision_under_autocast(name):
    encoder = encoder_of(name).float()
    with torch.autocast("cpu", torch.bfloat16):
        _, contexts = encoder.steps(torch.randn(4, *SHAPES[name]))
    assert contexts.dtype == torch.float32


@pytest.mark.parametrize("name", STEP_BACKBONES)
def test_a_saved_one_comes_back(tmp_path, name):
    config, shape = as_spec(EncoderSpec, {"name": name, "width": 2}), SHAPES[name]
    encoder = config.build(shape)
    ones = [1.0] * shape[0]
    zeros = [0.0] * shape[0]
    save_encoder(tmp_path, encoder, config, shape=shape, mean=zeros, std=ones)
    assert load_encoder(tmp_path).backbone.num_steps == encoder.num_steps
    for saved, weights in zip(
        load_encoder(tmp_path).backbone.parameters(), encoder.parameters(), strict=True
    ):
        assert torch.equal(saved, weights)


def test_what_is_too_small_is_refused():
    with pytest.raises(SettingError, match=r"7 px are too few: choose views\.size 8 or more"):
        PatchGRUSpec().build((1, 7, 7))
    with pytest.raises(SettingError, match="of 1 step: choose longer"):
        SeriesGRUSpec().build((3, 1))
