"""Presets, what replaces their values, and what is refused."""

import pytest

from nearfar.errors import SettingError
from nearfar.spec import as_spec
from nearfar.views.parameters import ViewParameters
from nearfar.views.specs import (
    BYOLViewsSpec,
    DigitsViewsSpec,
    MoCoV1ViewsSpec,
    MoCoV2ViewsSpec,
    SimCLRViewsSpec,
    ViewsSpec,
)

IMAGE_PRESETS = [name for name, each in ViewsSpec.known().items() if each.takes == "images"]


def _colour(parameters):
    return (
        parameters.brightness,
        parameters.contrast,
        parameters.saturation,
        parameters.hue,
        parameters.jitter,
        parameters.grey,
    )


def test_simclr_numbers():
    first, second = SimCLRViewsSpec().parameters(3, 224)
    assert first == second
    assert (first.crop_scale, first.crop_ratio, first.flip) == ((0.08, 1.0), (3 / 4, 4 / 3), 0.5)
    assert _colour(first) == (0.8, 0.8, 0.8, 0.2, 0.8, 0.2)
    assert (first.blur, first.blur_sigma, 2 * first.blur_radius + 1) == (0.5, (0.1, 2.0), 23)


def test_moco_numbers():
    first, second = MoCoV1ViewsSpec().parameters(3, 224)
    assert first == second
    assert first.crop_scale == (0.2, 1.0)
    assert _colour(first) == (0.4, 0.4, 0.4, 0.4, 1.0, 0.2)
    assert first.blur == 0
    first, _ = MoCoV2ViewsSpec().parameters(3, 224)
    assert _colour(first) == (0.4, 0.4, 0.4, 0.1, 0.8, 0.2)
    assert first.blur == 0.5


def test_byol_is_asymmetric():
    first, second = BYOLViewsSpec().parameters(3, 224)
    assert _colour(first) == _colour(second) == (0.4, 0.4, 0.2, 0.1, 0.8, 0.2)
    assert (first.blur, first.solarize) == (1.0, 0.0)
    assert (second.blur, second.solarize) == (0.1, 0.2)


def test_digits_keep_their_side():
    first, _ = DigitsViewsSpec().parameters(1, 8)
    assert first.flip == 0
    assert first.rotation > 0
    assert _colour(first)[2:4] == (0, 0)


def test_changes_replace_values_in_both_views():
    config = BYOLViewsSpec(
        size=48,
        crop_scale=(0.3, 0.9),
        crop_ratio=(1.0, 2.0),
        flip=0.1,
        rotation=20.0,
        jitter=0.3,
        jitter_strength=0.5,
        grey=0.4,
        blur=0.6,
        solarize=0.7,
    )
    expected = ViewParameters(
        size=48,
        crop_scale=(0.3, 0.9),
        crop_ratio=(1.0, 2.0),
        flip=0.1,
        rotation=20.0,
        jitter=0.3,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grey=0.4,
        blur=0.6,
        solarize=0.7,
    )
    assert config.parameters(3, 32) == (expected, expected)


@pytest.mark.parametrize("preset", IMAGE_PRESETS)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_without_colour_colour_operations_are_left_out(preset, channels):
    for parameters in as_spec(ViewsSpec, {"name": preset}).parameters(channels, 16):
        assert (parameters.saturation, parameters.hue, parameters.grey) == (0, 0, 0)
        assert parameters.brightness > 0 or parameters.policy != "none"


def test_an_unknown_preset_gets_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'moco-v2'"):
        as_spec(ViewsSpec, {"name": "mocov2"}).parameters(3, 32)


def test_grey_without_colour_is_refused_when_asked_for():
    with pytest.raises(SettingError, match=r"views\.grey"):
        SimCLRViewsSpec(grey=0.2).parameters(1, 32)


def test_size_must_be_known():
    with pytest.raises(SettingError, match=r"views\.size"):
        SimCLRViewsSpec().parameters(3)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"size": 0}, r"views\.size"),
        ({"crop_scale": (0.0, 1.0)}, r"views\.crop_scale"),
        ({"crop_scale": (0.5, 1.5)}, r"views\.crop_scale"),
        ({"crop_scale": (0.9, 0.5)}, r"views\.crop_scale"),
        ({"crop_ratio": (-1.0, 1.0)}, r"views\.crop_ratio"),
        ({"crop_ratio": (1.0, float("inf"))}, r"views\.crop_ratio"),
        ({"flip": 1.1}, r"views\.flip"),
        ({"flip": float("nan")}, r"views\.flip"),
        ({"rotation": -1.0}, r"views\.rotation"),
        ({"jitter": -0.1}, r"views\.jitter"),
        ({"jitter_strength": -1.0}, r"views\.jitter_strength"),
        ({"jitter_strength": 3.0}, r"views\.jitter_strength"),
        ({"grey": 2.0}, r"views\.grey"),
        ({"blur": -1.0}, r"views\.blur"),
        ({"solarize": 7.0}, r"views\.solarize"),
    ],
)
def test_impossible_settings_are_refused_by_name(setting, named):
    with pytest.raises(SettingError, match=named):
        SimCLRViewsSpec(**setting)


@pytest.mark.parametrize("values", [{"brightness": -0.1}, {"hue": 0.6}, {"blur_sigma": (0.0, 1.0)}])
def test_impossible_parameters_are_refused(values):
    with pytest.raises(SettingError, match=next(iter(values))):
        ViewParameters(size=8, **values)
