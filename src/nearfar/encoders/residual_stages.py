"""What the residual networks of images and of series are made of."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Layers:
    """The layers of one kind of example."""

    convolution: type[nn.Conv1d] | type[nn.Conv2d]
    batch_norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]


OF_IMAGES = Layers(nn.Conv2d, nn.BatchNorm2d)
OF_SERIES = Layers(nn.Conv1d, nn.BatchNorm1d)


class ResidualBlock(nn.Module):
    """Two convolutions of kernel 3 beside a shortcut (He et al. 2015, the basic block).

    Args:
        layers: Of images or of series.
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: Of the first convolution, and of the shortcut.
    """

    def __init__(self, layers: Layers, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        convolution, batch_norm = layers.convolution, layers.batch_norm
        self.conv1 = convolution(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = batch_norm(channels_out)
        self.conv2 = convolution(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = batch_norm(channels_out)
        self.act = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                convolution(channels_in, channels_out, 1, stride, bias=False),
                batch_norm(channels_out),
            )

    def forward(
        self, examples: Float[Tensor, "batch _ ..."]
    ) -> Float[Tensor, "batch channels ..."]:
        """The block's output; sides or steps are divided by the stride, rounded up."""
        inner = self.bn2(self.conv2(self.act(self.bn1(self.conv1(examples)))))
        return self.act(inner + self.shortcut(examples))


def stem(layers: Layers, channels: int, width: int, *, kernel: int, stride: int) -> nn.Sequential:
    """The first convolution, padded so that stride 1 keeps sides and steps.

    Args:
        layers: Of images or of series.
        channels: Channels of the examples.
        width: Channels that come out.
        kernel: Pixels or steps that the convolution sees; odd.
        stride: Pixels or steps that it moves by.
    """
    return nn.Sequential(
        layers.convolution(channels, width, kernel, stride, padding=kernel // 2, bias=False),
        layers.batch_norm(width),
        nn.ReLU(inplace=True),
    )


def three_stages(layers: Layers, width: int) -> nn.Sequential:
    """Three stages of two residual blocks; the second and third halve sides or steps.

    Args:
        layers: Of images or of series.
        width: Channels of the input and of the first stage, doubled by each further one.
    """
    return nn.Sequential(
        _stage(layers, width, width, stride=1),
        _stage(layers, width, 2 * width, stride=2),
        _stage(layers, 2 * width, 4 * width, stride=2),
    )


def initialise_convolutions(network: nn.Module) -> None:
    """Draw all convolutions' weights for ReLU (He et al. 2015, "Delving deep into rectifiers").

    Normal, of variance 2 / (channels out · kernel size); in the order of the network's modules.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _stage(layers: Layers, channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    """Two blocks, the first of which changes sides or steps and channels."""
    return nn.Sequential(
        ResidualBlock(layers, channels_in, channels_out, stride),
        ResidualBlock(layers, channels_out, channels_out, 1),
    )
