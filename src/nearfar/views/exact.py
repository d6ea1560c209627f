"""Views by the published order of operations: one at a time, clamped after each."""

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from nearfar.views import colour
from nearfar.views.draws import Draws
from nearfar.views.parameters import ViewParameters
from nearfar.views.policy_operations import apply_policy
from nearfar.views.resampling import (
    along_columns,
    along_rows,
    blur_taps,
    gaussian_kernels,
    neighbours,
    resize_taps,
    rotate,
)


def exact_views(
    images: UInt8[Tensor, "batch channels height width"], draws: Draws, parameters: ViewParameters
) -> Float32[Tensor, "batch channels size size"]:
    """Apply the draws, all but Cutout's, in the order of `ViewParameters`.

    Args:
        images: Originals, 0 to 255.
        draws: What to do to each of them, on the same device.
        parameters: What the draws were made from; says which operations can be left out.

    Returns:
        Views in 0 to 1.
    """
    views = _cropped(images, draws, parameters.size)
    if parameters.rotation:
        views = rotate(views, draws.angle)
    if parameters.policy != "none":
        views = apply_policy(views, draws.operations, draws.magnitudes)
    if parameters.jitter:
        views = _jittered(views, draws)
    if parameters.grey:
        views = colour.grey(views, draws.grey)
    if parameters.blur_radius:
        views = _blurred(views, draws.sigma, parameters)
    if parameters.solarize:
        views = colour.solarize(views, draws.solarize)
    return views.contiguous()


def _cropped(images: Tensor, draws: Draws, size: int) -> Tensor:
    """Crops brought to the size of a view, some of them mirrored."""
    height, width = images.shape[2:]
    rows = resize_taps(draws.top, draws.height, source=height, target=size)
    columns = resize_taps(draws.left, draws.width, source=width, target=size, mirrored=draws.flip)
    return along_columns(along_rows(images / 255, rows), columns)


def _jittered(views: Tensor, draws: Draws) -> Tensor:
    """The four colour factors, in each image's own order."""
    operations = [(colour.brightness, draws.brightness), (colour.contrast, draws.contrast)]
    if views.shape[1] == 3:
        operations += [(colour.saturation, draws.saturation), (colour.hue, draws.hue)]
    views = views.clone()
    for place in range(draws.order.shape[1]):
        for number, (operation, factors) in enumerate(operations):
            rows = (draws.order[:, place] == number).nonzero().squeeze(1)
            if len(rows):
                views[rows] = operation(views[rows], factors[rows])
    return views


def _blurred(views: Tensor, sigma: Tensor, parameters: ViewParameters) -> Tensor:
    """The views that were drawn for it blurred, the others as they are."""
    rows = (sigma > 0).nonzero().squeeze(1)
    radius = parameters.blur_radius
    kernels = gaussian_kernels(sigma[rows], radius)
    taps = blur_taps(kernels, neighbours(parameters.size, radius, views.device))
    blurred = along_columns(along_rows(views[rows], taps), taps)
    return torch.index_copy(views, 0, rows, blurred)
