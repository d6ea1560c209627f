"""Presets, what replaces their values, and what is refused."""

import pytest

from nearfar.errors import SettingError
from nearfar.views.config import ViewsConfig
from nearfar.views.parameters import ViewParameters
from nearfar.views.presets import PRESETS, resolve


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
    first, second = resolve(ViewsConfig(preset="simclr"), 3, 224)
    assert first == second
    assert (first.crop_scale, first.crop_ratio, first.flip) == ((0.08, 1.0), (3 / 4, 4 / 3), 0.5)
    assert _colour(first) == (0.8, 0.8, 0.8, 0.2, 0.8, 0.2)
    assert (first.blur, first.blur_sigma, 2 * first.blur_radius + 1) == (0.5, (0.1, 2.0), 23)


def test_moco_numbers():
    first, second = resolve(ViewsConfig(preset="moco-v1"), 3, 224)
    assert first == second
    assert first.crop_scale == (0.2, 1.0)
    assert _colour(first) == (0.4, 0.4, 0.4, 0.4, 1.0, 0.2)
    assert first.blur == 0
    first, _ = resolve(ViewsConfig(preset="moco-v2"), 3, 224)
    assert _colour(first) == (0.4, 0.4, 0.4, 0.1, 0.8, 0.2)
    assert first.blur == 0.5


def test_byol_is_asymmetric():
    first, second = resolve(ViewsConfig(preset="byol"), 3, 224)
    assert _colour(first) == _colour(second) == (0.4, 0.4, 0.2, 0.1, 0.8, 0.2)
    assert (first.blur, first.solarize) == (1.0, 0.0)
    assert (second.blur, second.solarize) == (0.1, 0.2)


def test_digits_keep_their_side():
    first, _ = resolve(ViewsConfig(preset="digits"), 1, 8)
    assert first.flip == 0
    assert first.rotation > 0
    assert _colour(first)[2:4] == (0, 0)


def test_changes_replace_values_in_both_views():
    config = ViewsConfig(
        preset="byol",
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
    assert resolve(config, 3, 32) == (expected, expected)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_without_colour_colour_operations_are_left_out(preset, channels):
    for parameters in resolve(ViewsConfig(preset=preset), channels, 16):
        assert (parameters.saturation, parameters.hue, parameters.grey) == (0, 0, 0)
        assert parameters.brightness > 0


def test_an_unknown_preset_gets_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'moco-v2'"):
        resolve(ViewsConfig(preset="mocov2"), 3, 32)


def test_grey_without_colour_is_refused_when_asked_for():
    with pytest.raises(SettingError, match=r"views\.grey"):
        resolve(ViewsConfig(grey=0.2), 1, 32)


def test_size_must_be_known():
    with pytest.raises(SettingError, match=r"views\.size"):
        resolve(ViewsConfig(), 3)


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
        resolve(ViewsConfig(**setting), 3, 32)


@pytest.mark.parametrize("values", [{"brightness": -0.1}, {"hue": 0.6}, {"blur_sigma": (0.0, 1.0)}])
def test_impossible_parameters_are_refused(values):
    with pytest.raises(SettingError, match=next(iter(values))):
        ViewParameters(size=8, **values)
