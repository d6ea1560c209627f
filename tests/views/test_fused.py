"""How far the fused views are from the exact ones, choice by choice and over all."""

import pytest
import torch
from photos import photo_patches

from nearfar.spec import as_spec
from nearfar.views import fused
from nearfar.views.colour import colour_maps, hue_turns
from nearfar.views.draws import draw
from nearfar.views.exact import exact_views
from nearfar.views.fused import fused_views
from nearfar.views.parameters import ViewParameters
from nearfar.views.specs import BYOLViewsSpec, SimCLRViewsSpec, ViewsSpec

IMAGE_PRESETS = [name for name, each in ViewsSpec.known().items() if each.takes == "images"]
NOTHING = {"flip": 0.0, "jitter": 0.0}


@pytest.fixture(scope="module")
def photos():
    return photo_patches(192)


def _both(images, parameters, seed=3):
    """The same draws by both implementations."""
    count, channels, height, width = images.shape
    draws = draw(parameters, count, height, width, torch.Generator().manual_seed(seed))
    plain = {"mean": torch.zeros(channels), "std": torch.ones(channels)}
    return exact_views(images, draws, parameters), fused_views(images, draws, parameters, **plain)


@pytest.mark.parametrize("size", [1, 8, 20, 32, 48])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"flip": 0.5},
        {"blur": 0.5},
        {"jitter": 0.8, "brightness": 0.8},
        {"jitter": 0.8, "contrast": 0.8},
        {"jitter": 0.8, "saturation": 0.8},
        {"grey": 0.5},
        {"solarize": 0.5},
    ],
)
def test_single_operations_agree(photos, size, values):
    exact, result = _both(photos, ViewParameters(size=size, **(NOTHING | values)))
    difference = (exact - result).abs()
    if "solarize" in values:  # rounding decides at exactly half
        assert (difference > 1e-4).float().mean() < 1e-3
    else:
        assert difference.max() < 1e-4


@pytest.mark.parametrize("size", [7, 20])
def test_rotation_of_smaller_views_agrees(photos, size):
    exact, result = _both(photos, ViewParameters(size=size, rotation=40.0, **NOTHING))
    torch.testing.assert_close(result, exact, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [32, 64])
def test_rotation_interpolated_once_stays_near_interpolated_twice(photos, size):
    exact, result = _both(photos, ViewParameters(size=size, flip=0.5, jitter=0.0, rotation=40.0))
    assert (exact - result).square().mean().sqrt() < 0.02
    assert abs(exact.mean() - result.mean()) < 1e-3
    assert (exact - result).abs().mean() > 1e-5  # else this test compares one with itself


def test_rotation_of_nothing_is_the_crop(photos):
    turned = ViewParameters(size=32, rotation=1e-6, **NOTHING)
    straight = ViewParameters(size=32, **NOTHING)
    torch.testing.assert_close(
        _both(photos, turned)[1], _both(photos, straight)[1], atol=1e-4, rtol=0
    )


def test_black_enters_as_in_exact_views():
    white = torch.full((64, 1, 16, 16), 255, dtype=torch.uint8)
    exact, result = _both(white, ViewParameters(size=16, rotation=45.0, **NOTHING))
    torch.testing.assert_close(result, exact, atol=1e-3, rtol=0)
    assert exact.min() == 0


# Root mean square of the difference, and differences of mean and standard deviation of all values.
@pytest.mark.parametrize(
    ("values", "rms", "mean", "std"),
    [
        ({"hue": 0.1}, 0.035, 0.008, 0.006),
        ({"hue": 0.2}, 0.045, 0.012, 0.014),
        ({"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}, 0.035, 0.009, 0.004),
        ({"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}, 0.055, 0.014, 0.007),
    ],
)
def test_jitter_stays_near(photos, values, rms, mean, std):
    exact, result = _both(photos, ViewParameters(size=32, jitter=1.0, flip=0.5, **values))
    assert (exact - result).square().mean().sqrt() < rms
    assert abs(exact.mean() - result.mean()) < mean
    assert abs(exact.std() - result.std()) < std


@pytest.mark.parametrize("preset", IMAGE_PRESETS)
def test_presets_stay_near(photos, preset):
    for parameters in as_spec(ViewsSpec, {"name": preset}).parameters(3, 32):
        if parameters.policy != "none":
            continue  # exact under both implementations, as test_policies.py says
        exact, result = _both(photos, parameters)
        assert (exact - result).square().mean().sqrt() < 0.06
        assert abs(exact.mean() - result.mean()) < 0.015
        assert abs(exact.std() - result.std()) < 0.01
        assert result.min() >= 0
        assert result.max() <= 1


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_any_number_of_channels(channels):
    images = torch.randint(64, 192, (32, channels, 20, 24), dtype=torch.uint8)
    parameters, _ = SimCLRViewsSpec(jitter_strength=0.5).parameters(channels, 24)
    exact, result = _both(images, parameters)
    assert exact.shape == result.shape == (32, channels, 24, 24)
    assert (exact - result).square().mean().sqrt() < 0.02


def test_colour_maps_follow_the_order(photos):
    """Without clamping, any order of brightness, contrast, saturation, hue and grey is one map."""
    parameters = ViewParameters(
        size=32, jitter=1.0, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.3, grey=0.3
    )
    draws = draw(parameters, 192, 32, 32, torch.Generator().manual_seed(1))
    images = photos.double().flatten(2) / 255
    mixing, returned = colour_maps(draws, 3)
    luma = torch.tensor([0.2989, 0.587, 0.114]).double()
    turns = hue_turns(draws.hue).double()
    for number, image in enumerate(images):
        expected = image
        for operation in draws.order[number]:
            shade = (luma @ expected)[None]
            if operation == 0:
                expected = draws.brightness[number] * expected
            elif operation == 1:
                expected = torch.lerp(
                    shade.mean().expand_as(expected), expected, draws.contrast[number].double()
                )
            elif operation == 2:
                expected = torch.lerp(
                    shade.expand_as(expected), expected, draws.saturation[number].double()
                )
            else:
                expected = turns[number] @ expected
        if draws.grey[number]:
            expected = (luma @ expected).expand_as(expected)
        result = mixing[number].double() @ image + returned[number].double() @ image.mean(dim=1)
        # luma's published weights sum to 0.9999
        assert (result - expected).abs().max() < 5e-4


def test_hue_turns_agree_with_hsv_at_thirds():
    turns = hue_turns(torch.tensor([0.0, 1 / 3, -1 / 3]))
    identity = torch.eye(3)
    expected = torch.stack([identity, identity.roll(1, 0), identity.roll(-1, 0)])
    torch.testing.assert_close(turns, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("rotation", [0.0, 20.0])
def test_each_image_is_worked_on_alone(photos, rotation, monkeypatch):
    parameters, _ = SimCLRViewsSpec(rotation=rotation, solarize=0.3).parameters(3, 32)
    draws = draw(parameters, len(photos), 32, 32, torch.Generator().manual_seed(0))
    normal = {"mean": torch.tensor([0.4, 0.5, 0.6]), "std": torch.tensor([0.2, 0.3, 0.25])}
    together = fused_views(photos, draws, parameters, **normal)
    for number in (0, 1, 100, 191):
        one = slice(number, number + 1)
        alone = fused_views(photos[one], draws[one], parameters, **normal)
        torch.testing.assert_close(alone, together[one], atol=1e-4, rtol=0)
    monkeypatch.setattr(fused, "_CACHED_VALUES", 7 * 3 * 32 * 32)
    by_sevens = fused_views(photos, draws, parameters, **normal)
    torch.testing.assert_close(by_sevens, together, atol=1e-4, rtol=0)


def test_means_and_deviations_normalise(photos):
    parameters, _ = BYOLViewsSpec(solarize=0.5).parameters(3, 32)
    draws = draw(parameters, len(photos), 32, 32, torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
    plain = fused_views(photos, draws, parameters, mean=torch.zeros(3), std=torch.ones(3))
    normal = fused_views(photos, draws, parameters, mean=mean, std=std)
    difference = (plain - (normal * std[:, None, None] + mean[:, None, None])).abs()
    assert (difference > 1e-4).float().mean() < 1e-3  # rounding at the threshold of solarize


@pytest.mark.parametrize("blur", [0.0, 0.5])
def test_an_accelerator_is_asked_for_nothing_and_the_views_are_the_same(photos, blur, monkeypatch):
    """Numbers read from one would wait for all that it has to do."""
    parameters, _ = SimCLRViewsSpec(blur=blur, solarize=0.3).parameters(3, 32)
    draws = draw(parameters, len(photos), 32, 32, torch.Generator().manual_seed(0))
    normal = {"mean": torch.tensor([0.4, 0.5, 0.6]), "std": torch.tensor([0.2, 0.3, 0.25])}
    asked = fused_views(photos, draws, parameters, **normal)
    monkeypatch.setattr(fused, "_may_be_asked", lambda images: False)
    monkeypatch.setattr(torch.Tensor, "tolist", None)
    monkeypatch.setattr(torch.Tensor, "nonzero", None)
    torch.testing.assert_close(fused_views(photos, draws, parameters, **normal), asked)
