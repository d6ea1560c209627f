"""Colour operations as published, each with its own parameter for every image of a batch.

Images are float32 in 0 to 1 and every operation clamps its result to that range, as torchvision's
do. Brightness and contrast work for any number of channels; saturation, hue and grey for 3.
"""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

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
    """Turn the hue of every pixel by a share of the colour circle, in HSV.

    Args:
        images: Images of 3 channels.
        shift: -0.5 to 0.5.
    """
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
    """Each image times its own factor."""
    return images * factor[:, None, None, None]


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`factor` parts of the images and the rest of the other, clamped."""
    return torch.lerp(other.expand_as(images), images, factor[:, None, None, None]).clamp_(0, 1)
