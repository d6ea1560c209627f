"""A residual network for images of 8 to 32 px, small enough to train on a processor."""

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.encoders.residual_stages import OF_IMAGES, initialise_convolutions, stem, three_stages

_HALVING_STEM_FROM_PX = 24


class SmallResNet(nn.Module):
    """Three stages of two residual blocks, halving the side and doubling the channels.

    A stem of one 3×3 convolution keeps the side below 24 px and halves it from 24 px on, so that an
    8 px image passes the stages at 8, 4 and 2 px and a 32 px image at 16, 8 and 4 px. Features are
    the mean over the last map.

    Args:
        channels: Channels of the images.
        width: Channels of the first stage; the last has four times as many, which is
            `num_features`.
        image_size: Side of the images, in pixels; decides the stem's stride only.
    """

    def __init__(self, *, channels: int, width: int, image_size: int) -> None:
        super().__init__()
        stride = 2 if image_size >= _HALVING_STEM_FROM_PX else 1
        self.stem = stem(OF_IMAGES, channels, width, kernel=3, stride=stride)
        self.stages = three_stages(OF_IMAGES, width)
        self.num_features = 4 * width
        initialise_convolutions(self)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised images."""
        return self.stages(self.stem(images)).mean(dim=(2, 3))
