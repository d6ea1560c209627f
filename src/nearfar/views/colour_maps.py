"""Jitter and grey of each image as one linear map of its channels."""

import math

import torch
from jaxtyping import Float32
from torch import Tensor

from nearfar.views.colour import LUMA
from nearfar.views.draws import Draws


def colour_maps(
    draws: Draws, channels: int
) -> tuple[Float32[Tensor, "batch channels channels"], Float32[Tensor, "batch channels"]]:
    """What jitter, and grey after it, come to without clamps.

    Brightness and contrast scale all channels by the product of their factors, and contrast adds
    its share of the mean grey back. Saturation blends with luma. Hue turns about the grey axis.

    Args:
        draws: What to do to each image.
        channels: Channels of the images.

    Returns:
        A matrix for every pixel's channels, and weights for the image's mean channels before
        jitter, whose weighted sum is added to every channel.
    """
    gain = (draws.brightness * draws.contrast)[:, None, None]
    returned = (draws.brightness * (1 - draws.contrast))[:, None]
    if channels != 3:
        mixing = gain * torch.eye(channels, device=gain.device)
        return mixing, (returned / channels).expand(-1, channels)
    luma = torch.tensor(LUMA, device=gain.device).expand(len(gain), 3)
    turn = hue_turns(draws.hue)
    turned_luma = (luma[:, None] @ turn).squeeze(1)
    saturation = draws.saturation[:, None]
    # Without clamps only two orders matter: hue changes the luma that saturation and contrast see.
    place = draws.order.argsort(dim=1)[:, :, None]
    contrast_place, saturation_place, hue_place = place[:, 1], place[:, 2], place[:, 3]
    shade = torch.where(hue_place < saturation_place, turned_luma, luma)
    mixing = saturation[:, :, None] * turn + ((1 - saturation) * shade)[:, None]
    grey = luma[:, None] @ mixing
    mixing = gain * torch.where(draws.grey[:, None, None], grey, mixing)
    dulled = torch.where(
        saturation_place < hue_place, torch.lerp(luma, turned_luma, saturation), turned_luma
    )
    return mixing, returned * torch.where(hue_place < contrast_place, dulled, luma)


def hue_turns(shift: Float32[Tensor, " batch"]) -> Float32[Tensor, "batch 3 3"]:
    """Rotations of red, green and blue about the grey axis.

    Args:
        shift: Share of the circle; at 1/3 red becomes green, as in HSV.
    """
    angle = 2 * math.pi * shift[:, None, None]
    grey = torch.full((3, 3), 1 / 3, device=shift.device)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    across = across.to(shift.device) / math.sqrt(3)
    return (
        grey
        + torch.cos(angle) * (torch.eye(3, device=shift.device) - grey)
        + torch.sin(angle) * across
    )
