"""A backbone in a dozen lines."""

from jaxtyping import Float
from torch import Tensor, nn


class PlainConvNet(nn.Sequential):
    """Three 3 × 3 convolutions with batch-norm, each after the first of half the side, and a mean.

    Args:
        channels: Of the images.
        width: Channels of the first layer; each later one has twice as many.
        image_size: Side of the images; any will do.
    """

    def __init__(self, *, channels: int, width: int, image_size: int) -> None:  # noqa: ARG002  all take it
        layers: list[nn.Module] = []
        for number in range(3):
            out = width * 2**number
            layers += [
                nn.Conv2d(channels, out, 3, stride=2 if number else 1, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            channels = out
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.num_features = channels

    def forward(self, input: Float[Tensor, "batch channels side side"]) -> Float[Tensor, "batch d"]:  # noqa: A002
        """Features of normalised images."""
        return super().forward(input)
