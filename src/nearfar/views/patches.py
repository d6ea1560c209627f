"""Random changes of every patch of an image by itself: moved crops, brightness and contrast.

They are for patches that are compared with one another, as in CPC: what is drawn once for a whole
image is a mark on all its patches, by which they know each other.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Patches = Float[Tensor, "patches channels side side"]


def kept_side(side: int, share: float) -> int:
    """Side of the crop of a patch, in whole pixels, 1 or more.

    Args:
        side: Of the patch, in pixels.
        share: Side of the crop over the patch's, above 0 and up to 1.
    """
    return max(1, round(share * side))


def moved_crops(patches: Patches, share: float) -> Patches:
    """A random square of each patch, put back at a random place (van den Oord et al. 2018).

    What is left of the patch repeats the nearest pixels of the square, so that no frame shows.

    Args:
        patches: Squares of images, in any units.
        share: Side of the crop over the patch's, above 0 and up to 1: 60 of 64 px in their paper.

    Returns:
        Patches of the same shape. All is drawn from torch's generator of the patches' device.
    """
    kept = kept_side(patches.shape[-1], share)
    return _moved(_moved(patches, 2, kept), 3, kept)


def jittered(patches: Patches, deviation: float) -> Patches:
    """Another brightness and contrast for each patch, the same for all its channels.

    Args:
        patches: Normalised: each channel of the data has mean 0 and deviation 1.
        deviation: Of the normal logarithm of the contrast, a factor, and of the normal brightness,
            which is added; 0 or more. Zero changes nothing.

    Returns:
        Patches of the same shape. All is drawn from torch's generator of the patches' device.
    """
    shape = (2, len(patches), 1, 1, 1)
    contrast, brightness = deviation * torch.randn(shape, device=patches.device).to(patches.dtype)
    return patches * contrast.exp() + brightness


def _moved(patches: Patches, side: int, kept: int) -> Patches:
    """A random stretch of `kept` pixels along one side of each patch, put back at random."""
    count, size = len(patches), patches.shape[side]
    device = patches.device
    start, place = torch.randint(size - kept + 1, (2, count, 1), device=device)
    source = start + (torch.arange(size, device=device) - place).clamp(0, kept - 1)
    shape = [count, 1, 1, 1]
    shape[side] = size
    return patches.gather(side, source.view(shape).expand_as(patches))
