"""The small AlexNet that alignment and uniformity were studied with."""

from bisect import bisect_right
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.encoders.resnets import in_turn
from nearfar.errors import SettingError

_MIN_SIDE = 15
"""Smallest side, in pixels, of which the last pooling leaves anything."""


class SmallAlexNet(nn.Module):
    """Five 3×3 convolutions and two wide linear layers (Wang & Isola 2020, appendix B).

    Batch-norm follows every layer, and 3×3 max-pooling of stride 2 the first, the second and the
    last convolution. Features are what the second linear layer (fc7) gives, after ReLU, which the
    paper's linear probes read. Its third layer (fc8) is the method's: a linear projection head.

    Args:
        channels: Channels of the images.
        width: Channels of the first convolution; the others have 2, 4, 4 and 2 times as many. The
            paper has 96.
        image_size: Side of the images, in pixels; 15 or more. The paper has 64.
        num_features: Units of the linear layers.

    Raises:
        SettingError: The images are too small for the pooling.
    """

    def __init__(
        self, *, channels: int, width: int, image_size: int, num_features: int = 4096
    ) -> None:
        super().__init__()
        if image_size < _MIN_SIDE:
            raise SettingError(
                f"small-alexnet takes images of {_MIN_SIDE} px or more, and these have {image_size}"
            )
        self.convolutions = nn.Sequential(
            *_convolution(channels, width, pool=True),
            *_convolution(width, 2 * width, pool=True),
            *_convolution(2 * width, 4 * width, pool=False),
            *_convolution(4 * width, 4 * width, pool=False),
            *_convolution(4 * width, 2 * width, pool=True),
            nn.Flatten(),
        )
        side = _pooled(_pooled(_pooled(image_size)))
        self.fc6 = _linear(2 * width * side**2, num_features)
        self.fc7 = _linear(num_features, num_features)
        self.num_features = num_features

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised images."""
        return self.fc7(self.fc6(self.convolutions(images)))

    def maps(self, images: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """What each of the five convolutions gives, the pooling behind it included."""
        given = in_turn(self.convolutions[:-1], images)
        first = [
            place for place, layer in enumerate(self.convolutions) if isinstance(layer, nn.Conv2d)
        ]
        return [given[place - 1] for place in (*first[1:], len(given))]

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form: each layer is both."""
        convolutions = [
            place for place, layer in enumerate(self.convolutions) if isinstance(layer, nn.Conv2d)
        ]

        def place(name: str) -> int:
            room, number = name.split(".")[:2]
            if room == "convolutions":
                return bisect_right(convolutions, int(number))
            return len(convolutions) + (1 if room == "fc6" else 2)

        return place


def _convolution(channels_in: int, channels_out: int, *, pool: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]
    return [*layers, nn.MaxPool2d(3, 2)] if pool else layers


def _linear(features_in: int, features_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features_in, features_out, bias=False),
        nn.BatchNorm1d(features_out),
        nn.ReLU(inplace=True),
    )


def _pooled(side: int) -> int:
    return (side - 3) // 2 + 1
