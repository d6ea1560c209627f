"""The exact views against torchvision's functions, given the same choices, in the same order."""

import pytest
import torch
from tests.views.torchvision_policies import after_policy
from torchvision.transforms.v2 import functional as TF

from nearfar.spec import as_spec
from nearfar.views.draws import draw
from nearfar.views.exact import exact_views
from nearfar.views.specs import ViewsSpec

PADDING = 10
"""More than any crop here lies beyond the edges."""
IMAGE_PRESETS = [name for name, each in ViewsSpec.known().items() if each.takes == "images"]


def _torchvision_view(image, draws, number, size, radius):
    """One view by torchvision's functions."""
    top, left, height, width = (
        int(getattr(draws, name)[number]) for name in ("top", "left", "height", "width")
    )
    view = TF.to_dtype(image, torch.float32, scale=True)
    view = TF.pad(view, [PADDING])
    top, left = top + PADDING, left + PADDING
    view = TF.resized_crop(view, top, left, height, width, [size, size], antialias=True)
    if draws.flip[number]:
        view = TF.horizontal_flip(view)
    bilinear = TF.InterpolationMode.BILINEAR
    view = TF.rotate(view, float(draws.angle[number]), interpolation=bilinear)
    view = after_policy(view, draws.operations[number], draws.magnitudes[number])
    operations = [
        (TF.adjust_brightness, draws.brightness),
        (TF.adjust_contrast, draws.contrast),
        (TF.adjust_saturation, draws.saturation),
        (TF.adjust_hue, draws.hue),
    ]
    for operation in draws.order[number]:
        function, factors = operations[operation]
        view = function(view, float(factors[number]))
    if draws.grey[number]:
        view = TF.rgb_to_grayscale(view, num_output_channels=3)
    sigma = float(draws.sigma[number])
    if sigma:
        view = TF.gaussian_blur(view, [2 * radius + 1] * 2, [sigma, sigma])
    return TF.solarize(view, 0.5) if draws.solarize[number] else view


@pytest.mark.parametrize("preset", IMAGE_PRESETS)
@pytest.mark.parametrize(("height", "width", "size"), [(40, 32, 40), (24, 30, 16), (17, 17, 33)])
def test_whole_views(preset, height, width, size):
    config = as_spec(ViewsSpec, {"name": preset, "rotation": 20.0})
    images = torch.randint(0, 256, (48, 3, height, width), dtype=torch.uint8)
    for parameters in config.parameters(3, size):
        draws = draw(parameters, len(images), height, width, torch.Generator().manual_seed(5))
        expected = torch.stack(
            [
                _torchvision_view(image, draws, number, size, parameters.blur_radius)
                for number, image in enumerate(images)
            ]
        )
        difference = (exact_views(images, draws, parameters) - expected).abs()
        # Rounding turns a value of exactly half one way or the other when it is solarized, and
        # HSV magnifies it where a colour is almost grey. A policy rounds all values to bytes.
        rounded = parameters.policy != "none"
        assert (difference > 1e-3).float().mean() < (2e-3 if rounded else 1e-4)
        assert difference.mean() < (1e-4 if rounded else 1e-5)
