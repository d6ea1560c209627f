"""Weights into encoders: what fits, what is adapted, what is left out, what is refused."""

import pytest
import timm
import torch
from torch import nn

from nearfar.encoders.specs import CIFARResNet20Spec, MLPSpec, SmallResNetSpec, TimmSpec
from nearfar.encoders.start_origin import Origin
from nearfar.encoders.starting_weights import load_start
from nearfar.errors import SettingError

ORIGIN = Origin("the file f.pth", "0" * 64)
VIT = "timm/vit_tiny_patch16_224"


def built(spec, shape, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return spec.build(shape)


def small(seed=0, channels=1, width=4) -> nn.Module:
    return built(SmallResNetSpec(width=width), (channels, 8, 8), seed)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "backbone.", "encoder.", "module.encoder_q.", "student.net.0."]
)
def test_every_prefix_is_found(prefix):
    theirs, ours = small(1), small()
    state = {prefix + name: value for name, value in theirs.state_dict().items()}
    state |= {"module.encoder_q.fc.weight": torch.zeros(3, 16), "epoch": torch.tensor(3)}
    loaded = load_start(ours, ORIGIN, state)
    assert (loaded.prefix, loaded.share) == (prefix, 1.0)
    assert not loaded.random
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])


def test_of_an_encoder_and_its_follower_the_encoder_is_taken():
    query, key = small(1), small(2)
    for first, second in (("encoder_k", "encoder_q"), ("momentum_encoder", "encoder")):
        state = {f"module.{first}.{n}": v for n, v in key.state_dict().items()}
        state |= {f"module.{second}.{n}": v for n, v in query.state_dict().items()}
        ours = small()
        assert load_start(ours, ORIGIN, state).prefix == f"module.{second}."
        assert torch.equal(ours.stem[0].weight, query.stem[0].weight)


def test_what_is_missing_left_out_or_of_another_shape_is_told():
    state = small(1).state_dict() | {"fc.weight": torch.zeros(10, 16), "fc.bias": torch.zeros(10)}
    del state["stages.2.1.conv2.weight"]
    state["stages.2.1.conv1.weight"] = torch.zeros(32, 16, 3, 3)
    ours, before = small(), small()
    loaded = load_start(ours, ORIGIN, state)
    assert loaded.left_out == ("fc.weight", "fc.bias")
    assert loaded.random == ("stages.2.1.conv2.weight",)
    assert loaded.did_not_fit == {"stages.2.1.conv1.weight": "32 × 16 × 3 × 3, not 16 × 16 × 3 × 3"}
    assert 0.3 < loaded.share < 1
    for name in ("stages.2.1.conv1.weight", "stages.2.1.conv2.weight"):
        assert torch.equal(ours.state_dict()[name], before.state_dict()[name])
    told = loaded.lines()
    assert len(told) == 4
    assert "did not fit and stay random: stages.2.1.conv1.weight" in told[1]


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_a_first_layer_of_other_channels_says_the_same_of_repeated_ones(channels):
    theirs, ours = small(1, channels=3), small(0, channels=channels)
    loaded = load_start(ours, ORIGIN, theirs.state_dict())
    assert bool(loaded.adapted) == (channels != 3)
    grey = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(
        ours.eval()(grey.expand(-1, channels, -1, -1)), theirs.eval()(grey.expand(-1, 3, -1, -1))
    )


def test_a_timm_model_of_other_channels_and_size_is_adapted_as_timm_does_it(tmp_path):
    torch.manual_seed(1)
    theirs = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=10)
    state = theirs.state_dict()
    ours = built(TimmSpec(VIT), (1, 32, 32))
    loaded = load_start(ours, ORIGIN, state)
    expected = timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": state, "num_classes": 10},
        num_classes=0,
        in_chans=1,
        img_size=32,
    ).state_dict()
    assert loaded.share == 1
    assert set(loaded.adapted) == {"pos_embed", "patch_embed.proj.weight"}
    assert set(loaded.left_out) == {"head.weight", "head.bias"}
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(
    ("theirs", "ours", "shape", "said"),
    [
        (MLPSpec(), SmallResNetSpec(width=4), (1, 8, 8), "nothing of it fits a SmallResNet"),
        (CIFARResNet20Spec(width=4), MLPSpec(), (5,), "nothing of it fits a MLP"),
        (
            TimmSpec("timm/resnet18"),
            TimmSpec("timm/resnet18", stem="small"),
            (3, 32, 32),
            r"its conv1.weight is 64 × 3 × 7 × 7, not 64 × 3 × 3 × 3, and timm knows no way",
        ),
    ],
)
def test_what_does_not_fit_at_all_or_at_the_first_layer_is_refused(theirs, ours, shape, said):
    first = built(theirs, (5,) if isinstance(theirs, MLPSpec) else (3, 32, 32))
    encoder = built(ours, shape)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(SettingError, match=said):
        load_start(encoder, ORIGIN, first.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_a_table_of_other_columns_is_refused():
    with pytest.raises(SettingError, match=r"its 0.weight is 32 × 7, not 32 × 5"):
        load_start(built(MLPSpec(), (5,)), ORIGIN, built(MLPSpec(), (7,)).state_dict())


def test_weights_that_are_not_finite_are_refused():
    state = small(1).state_dict()
    state["stem.0.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(SettingError, match=r"stem.0.weight is not finite"):
        load_start(small(), ORIGIN, state)


def test_half_precision_becomes_the_encoders_type():
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in small(1).state_dict().items()
    }
    ours = small()
    load_start(ours, ORIGIN, state)
    assert ours.stem[0].weight.dtype == torch.float32
    assert torch.equal(ours.stem[0].weight, state["stem.0.weight"].float())
