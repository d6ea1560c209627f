"""The residual networks of He et al. (2015) for CIFAR, the backbone of the long-tail literature."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.encoders.residual_stages import (
    OF_IMAGES,
    ResidualBlock,
    initialise_convolutions,
    stem,
)


class CIFARResNet(nn.Module):
    """6n + 2 layers for images of 32 px (He et al. 2015, section 4.2).

    A 3×3 convolution, then three stages of n residual blocks; the second and the third stage halve
    the side and double the channels. A shortcut across such a step takes every second pixel and
    sets the new channels to zero (the paper's option A), so it has no weights. Features are the
    mean over the last map.

    Args:
        channels: Channels of the images.
        width: Channels of the first stage; the last has four times as many, which is
            `num_features`. The paper has 16.
        blocks: n, 1 or more: 3 for the ResNet-20, 5 for the ResNet-32.
    """

    def __init__(self, *, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = stem(OF_IMAGES, channels, width, kernel=3, stride=1)
        self.stages = nn.Sequential(
            *(_block(width, width) for _ in range(blocks)),
            _block(width, 2 * width),
            *(_block(2 * width, 2 * width) for _ in range(blocks - 1)),
            _block(2 * width, 4 * width),
            *(_block(4 * width, 4 * width) for _ in range(blocks - 1)),
        )
        self.num_features = 4 * width
        initialise_convolutions(self)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised images."""
        return self.stages(self.stem(images)).mean(dim=(2, 3))


class PaddedShortcut(nn.Module):
    """Every second pixel, with channels of zeros on both sides.

    Args:
        new_channels: How many are added; even.
    """

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.each_side = new_channels // 2

    def forward(
        self, images: Float[Tensor, "batch _ _ _"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Half the side, rounded up, and more channels."""
        return F.pad(images[:, :, ::2, ::2], (0, 0, 0, 0, self.each_side, self.each_side))


def _block(channels_in: int, channels_out: int) -> ResidualBlock:
    """A basic block, which halves the side where it doubles the channels."""
    if channels_in == channels_out:
        return ResidualBlock(OF_IMAGES, channels_in, channels_out, 1)
    block = ResidualBlock(OF_IMAGES, channels_in, channels_out, 2)
    block.shortcut = PaddedShortcut(channels_out - channels_in)
    return block
