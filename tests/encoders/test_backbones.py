"""Backbones by name: what is built, and what is refused before anything is."""

import subprocess
import sys

import pytest
import timm
import torch
from torch import nn

from nearfar.encoders.specs import (
    EncoderSpec,
    SmallResNetSpec,
    TimmSpec,
    backbone_names,
    in_current_form,
)
from nearfar.errors import SettingError
from nearfar.spec import as_spec


def test_the_names_are_the_own_ones_and_all_of_timm():
    assert set(backbone_names()) == set(EncoderSpec.known()) | {
        f"timm/{n}" for n in timm.list_models()
    }


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("smal-resnet", "small-resnet"),
        ("resnet50", "timm/resnet50"),
        ("timm/resnet18x", "timm/resnet18"),
        ("timm/mobilenetv3_smal_100", "timm/mobilenetv3_small_100"),
    ],
)
def test_an_unknown_backbone_is_refused_with_the_nearest_name(name, nearest):
    with pytest.raises(SettingError, match=f"unknown backbone '{name}': did you mean '{nearest}'"):
        as_spec(EncoderSpec, name)


def test_a_name_that_timm_would_fetch_from_elsewhere_is_refused():
    with pytest.raises(SettingError, match="unknown backbone"):
        TimmSpec(name="timm/hf-hub:someone/model")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "small-resnet", "width": 0}, "encoder.width is 0"),
        ({"name": "small-resnet", "depth": 3}, "small-resnet has no such setting.* to mlp"),
        ({"name": "timm/resnet18", "width": 64}, "timm/resnet18 has no such setting"),
        ({"name": "timm/vit_tiny_patch16_224", "stem": "small"}, "fits timm's ResNets"),
    ],
)
def test_settings_that_do_not_fit_the_backbone_are_refused(settings, told):
    with pytest.raises(SettingError, match=told):
        as_spec(EncoderSpec, settings)


def test_what_version_0_1_wrote_is_read():
    old = {"name": "small-resnet", "stem": "standard", "width": 16, "depth": 2}
    assert as_spec(EncoderSpec, in_current_form(old)) == SmallResNetSpec(width=16)
    old = {"name": "timm/resnet50", "stem": "small", "width": 32, "depth": 2}
    new = TimmSpec(name="timm/resnet50", stem="small")
    assert as_spec(EncoderSpec, in_current_form(old)) == new
    with pytest.raises(SettingError, match="small-resnet has no such setting"):
        as_spec(EncoderSpec, in_current_form({"name": "small-resnet", "depth": 3}))


def test_checking_loads_neither_torch_nor_timm():
    code = (
        "import sys\n"
        "from nearfar.encoders.specs import TimmSpec\n"
        "TimmSpec('timm/resnet50', stem='small')\n"
        "print(sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("image_size", [8, 28, 32])
def test_small_resnet_takes_small_images_of_any_channels(channels, image_size):
    encoder = SmallResNetSpec(width=8).build((channels, image_size, image_size))
    features = encoder(torch.randn(2, channels, image_size, image_size))
    assert encoder.num_features == 32
    assert features.shape == (2, 32)
    assert float(features.detach().std()) > 0


def test_small_resnet_sees_every_pixel_of_a_digit():
    encoder = SmallResNetSpec(width=8).build((1, 8, 8)).eval()
    image = torch.randn(1, 1, 8, 8, requires_grad=True)
    encoder(image).sum().backward()
    assert image.grad is not None
    assert (image.grad != 0).all()


@pytest.mark.parametrize(
    ("config", "width"),
    [
        (TimmSpec(name="timm/resnet18"), 512),
        (TimmSpec(name="timm/resnet18", stem="small"), 512),
        (TimmSpec(name="timm/vit_tiny_patch16_224"), 192),
        # Widens after pooling: timm's own num_features says 576.
        (TimmSpec(name="timm/mobilenetv3_small_100"), 1024),
    ],
)
def test_num_features_is_the_width_that_comes_out(config, width):
    encoder = config.build((2, 32, 32))
    assert encoder.training
    assert encoder.num_features == width
    assert encoder(torch.randn(2, 2, 32, 32)).shape == (2, width)


def test_the_small_stem_keeps_the_side_of_small_images():
    sides = []
    for stem in ("standard", "small"):
        encoder = TimmSpec("timm/resnet18", stem=stem).build((3, 32, 32))
        encoder.get_submodule("layer1").register_forward_hook(
            lambda _module, _inputs, output: sides.append(output.shape[-1])
        )
        encoder(torch.randn(2, 3, 32, 32))
    assert sides == [8, 32]


def test_a_resnet_with_another_stem_is_refused():
    with pytest.raises(SettingError, match="timm/resnet50d begins otherwise"):
        TimmSpec("timm/resnet50d", stem="small").build((3, 32, 32))


def test_a_backbone_that_cannot_take_the_images_is_refused_when_built():
    with pytest.raises(SettingError, match="timm/test_vit does not take images of 3 × 8 × 8: "):
        TimmSpec(name="timm/test_vit").build((3, 8, 8))


def test_weights_come_from_the_global_generator():
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(SmallResNetSpec(width=8).build((1, 8, 8)))
    first, second = (nn.utils.parameters_to_vector(encoder.parameters()) for encoder in built)
    assert torch.equal(first, second)
