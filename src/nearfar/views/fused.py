"""Views for speed: every step that is linear joined with its neighbours, and one clamp at the end.

The joined steps differ from the published ones in three ways. Values are clamped once, after all of
them. Hue turns the colours about the grey axis, which is linear, and agrees with HSV at thirds of
the circle and for greys. A pixel that rotation brings in from beside the crop is black as in the
exact views, but the edge is only interpolated once.
"""

import math

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from nearfar.views.colour import LUMA
from nearfar.views.draws import Draws
from nearfar.views.parameters import ViewParameters
from nearfar.views.resampling import blur_matrices, resize_matrices
from nearfar.views.rotation import rotate


def fused_views(
    images: UInt8[Tensor, "batch channels height width"],
    draws: Draws,
    parameters: ViewParameters,
    *,
    mean: Float32[Tensor, " channels"],
    std: Float32[Tensor, " channels"],
) -> Float32[Tensor, "batch channels size size"]:
    """Apply the draws, and normalise.

    Args:
        images: Originals, 0 to 255.
        draws: What to do to each of them, on the same device.
        parameters: What the draws were made from; says which operations can be left out.
        mean: Subtracted from the views of 0 to 1, by channel.
        std: Divides them afterwards, by channel; above 0.
    """
    size = parameters.size
    height, width = images.shape[2:]
    rows = resize_matrices(draws.top, draws.height, source=height, target=size)
    columns = resize_matrices(
        draws.left, draws.width, source=width, target=size, mirrored=draws.flip
    )
    views = rows[:, None] @ images.float() @ columns[:, None].transpose(2, 3)
    if parameters.rotation:
        views = rotate(views, draws.angle)
    mixing, offset = colour_maps(views.mean(dim=(2, 3)) / 255, draws)
    views = torch.baddbmm(offset[:, :, None], mixing / 255, views.flatten(2)).unflatten(
        2, (size, size)
    )
    if parameters.blur and parameters.blur_radius:
        chosen = (draws.sigma > 0).nonzero().squeeze(1)
        blurs = blur_matrices(draws.sigma[chosen], side=size, radius=parameters.blur_radius)
        blurs = blurs[:, None]
        views[chosen] = blurs @ views[chosen] @ blurs.transpose(2, 3)
    views.clamp_(0, 1)
    if parameters.solarize:
        chosen = draws.solarize.nonzero().squeeze(1)
        bright = views[chosen]
        views[chosen] = torch.where(bright >= 0.5, 1 - bright, bright)
    return views.sub_(mean[:, None, None]).div_(std[:, None, None])


def colour_maps(
    mean: Float32[Tensor, "batch channels"], draws: Draws
) -> tuple[Float32[Tensor, "batch channels channels"], Float32[Tensor, "batch channels"]]:
    """Jitter and grey of each image as one matrix and one offset.

    Args:
        mean: Mean of each channel of each image before jitter, 0 to 1.
        draws: What to do to each image.

    Returns:
        The matrix and the offset that map a pixel's channels.
    """
    channels = mean.shape[1]
    gain = (draws.brightness * draws.contrast)[:, None]
    if channels != 3:
        weights = torch.full_like(mean, 1 / channels)
        shade = (weights * mean).sum(dim=1, keepdim=True)
        mixing = gain[:, :, None] * torch.eye(channels, device=mean.device)
        offset = draws.brightness[:, None] * (1 - draws.contrast[:, None]) * shade
        return mixing, offset.expand(-1, channels)
    luma = torch.tensor(LUMA, device=mean.device)
    luma = (luma / luma.sum()).expand_as(mean)
    turn = _hue_turns(draws.hue)
    turned_luma = (luma[:, None, :] @ turn).squeeze(1)
    # Without clamps between them only two orders matter: that of hue and saturation, whose grey
    # is luma before or after the turn, and that of hue and contrast, for the same reason.
    _, contrast_place, saturation_place, hue_place = draws.order.argsort(dim=1)[:, :, None].unbind(
        1
    )
    factor = draws.saturation[:, None]
    shade = torch.where(hue_place < saturation_place, turned_luma, luma)
    mixing = factor[:, :, None] * turn + ((1 - factor) * shade)[:, None, :]
    dulled = torch.where(
        saturation_place < hue_place, torch.lerp(luma, turned_luma, factor), turned_luma
    )
    contrast_shade = torch.where(hue_place < contrast_place, dulled, luma)
    grey = luma[:, None, :] @ mixing
    mixing = gain[:, :, None] * torch.where(draws.grey[:, None, None], grey, mixing)
    offset = draws.brightness[:, None] * (1 - draws.contrast[:, None])
    return mixing, (offset * (contrast_shade * mean).sum(dim=1, keepdim=True)).expand_as(mean)


def _hue_turns(shift: Tensor) -> Tensor:
    """Rotations of red, green and blue about the grey axis, `(batch, 3, 3)`."""
    angle = 2 * math.pi * shift[:, None, None]
    ones = torch.full((3, 3), 1 / 3, device=shift.device)
    identity = torch.eye(3, device=shift.device)
    cross = torch.tensor(
        [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=shift.device
    ) / math.sqrt(3)
    return torch.cos(angle) * (identity - ones) + ones + torch.sin(angle) * cross
