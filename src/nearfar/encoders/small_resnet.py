"""A residual network for images of 8 to 32 px, small enough to train on a processor."""

from jaxtyping import Float
from torch import Tensor, nn

_HALVING_STEM_FROM_PX = 24


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al. 2015, the basic block)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.act = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(
        self, images: Float[Tensor, "batch _ _ _"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The block's output; height and width are divided by the stride, rounded up."""
        inner = self.bn2(self.conv2(self.act(self.bn1(self.conv1(images)))))
        return self.act(inner + self.shortcut(images))


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
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential(
            _stage(width, width, stride=1),
            _stage(width, 2 * width, stride=2),
            _stage(2 * width, 4 * width, stride=2),
        )
        self.num_features = 4 * width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised images."""
        return self.stages(self.stem(images)).mean(dim=(2, 3))


def _stage(channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    """Two blocks, the first of which changes side and channels."""
    return nn.Sequential(
        ResidualBlock(channels_in, channels_out, stride),
        ResidualBlock(channels_out, channels_out, 1),
    )
