"""Colour operations, each with its own parameter for every image of a batch.

As published they take images, float32 in 0 to 1, and clamp the result to that range, as
torchvision's do. Brightness and contrast work for any number of channels; saturation, hue and grey
for 3. `colour_maps` is what they come to as one linear map, without clamps.
"""

import math

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from nearfar.views.draws import Draws

# ITU-R BT.601 luma, with the digits torchvision uses.
LUMA = (0.2989, 0.587, 0.114)

Images = Float32[Tensor, "batch channels height width"]
Factors = Float32[Tensor, " batch"]


def brightness(images: Images, factor: Factors) -> Images:
    """Every value times the factor."""
    return _scaled(images, factor).clamp_(0, 1)


def contrast(images: Images, factor: Factors) -> Images:
    """Away from (factor above 1) or towards (below 1) the image's mean grey.

    The mean grey of an image whose channels are not red, green and blue is the mean of all values.
    """
    shade = luma(images) if images.shape[1] == 3 else images
    mean = shade.mean(dim=(1, 2, 3), keepdim=True)
    return _blend(images, mean, factor)


def saturation(images: Images, factor: Factors) -> Images:
    """Away from (factor above 1) or towards (below 1) each pixel's own grey."""
    return _blend(images, luma(images), factor)


def hue(images: Images, shift: Factors) -> Images:
    """Turn the hue of every pixel by a share of the colour circle, in HSV."""
    red, green, blue = images.unbind(1)
    value = images.amax(dim=1)
    chroma = value - images.amin(dim=1)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    angle = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    angle = angle + 6 * shift[:, None, None]
    # Each channel falls from the value by the chroma where its colour is far: (Smith 1978).
    channels = []
    for offset in (5.0, 3.0, 1.0):
        position = torch.remainder(angle + offset, 6)
        share = torch.minimum(position, 4 - position).clamp_(0, 1)
        channels.append(value - chroma * share)
    return torch.stack(channels, dim=1).clamp_(0, 1)


def grey(images: Images, chosen: Bool[Tensor, " batch"]) -> Images:
    """The chosen images with their luma in every channel."""
    return torch.where(chosen[:, None, None, None], luma(images), images)


def solarize(images: Images, chosen: Bool[Tensor, " batch"]) -> Images:
    """The chosen images with every value of at least half inverted."""
    inverted = torch.where(images >= 0.5, 1 - images, images)
    return torch.where(chosen[:, None, None, None], inverted, images)


def luma(images: Images) -> Float32[Tensor, "batch 1 height width"]:
    """Grey of red, green and blue."""
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(1)


def _scaled(images: Tensor, factor: Tensor) -> Tensor:
    return images * factor[:, None, None, None]


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`factor` parts of the images and the rest of the other, clamped."""
    return torch.lerp(other.expand_as(images), images, factor[:, None, None, None]).clamp_(0, 1)


def colour_maps(
    draws: Draws, channels: int
) -> tuple[Float32[Tensor, "batch channels channels"], Float32[Tensor, "batch channels"]]:
    """What jitter, and grey after it, come to without clamps.

    Brightness and contrast scale all channels by the product of their factors, and contrast adds
    its share of the mean grey back. Saturation blends with luma. Hue turns about the grey axis.

    Returns:
        A matrix for every pixel's channels, and weights for the image's mean channels before
        jitter, whose weighted sum is added to every channel.
    """
    gain = (draws.brightness * draws.contrast)[:, None, None]
    returned = (draws.brightness * (1 - draws.contrast))[:, None]
    if channels != 3:
        mixing = gain * torch.eye(channels, device=gain.device)
        return mixing, (returned / channels).expand(-1, channels)
    luma = torch.tensor(LUMA).to(gain.device, non_blocking=True).expand(len(gain), 3)
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
    across = across.to(shift.device, non_blocking=True) / math.sqrt(3)
    return (
        grey
        + torch.cos(angle) * (torch.eye(3, device=shift.device) - grey)
        + torch.sin(angle) * across
    )
