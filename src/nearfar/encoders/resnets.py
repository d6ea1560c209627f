"""Residual networks of images and of series, small enough to train on a processor."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Layers:
    """The layers of one kind of example."""

    convolution: type[nn.Conv1d] | type[nn.Conv2d]
    batch_norm: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]


OF_IMAGES = Layers(nn.Conv2d, nn.BatchNorm2d)
OF_SERIES = Layers(nn.Conv1d, nn.BatchNorm1d)


class ResidualBlock(nn.Module):
    """Two convolutions of kernel 3 beside a shortcut (He et al. 2015, the basic block)."""

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


def in_turn(layers: Iterable[nn.Module], examples: Tensor) -> list[Tensor]:
    """What each of some layers gives, the first of the examples, each other of the one before."""
    return list(accumulate(layers, lambda given, layer: layer(given), initial=examples))[1:]


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


def _stem_and_stages(*, coarse: bool) -> dict[str, str]:
    """What matches the parameters of a stem, and of stages or of blocks in stages."""
    return {"stem": r"^stem", "blocks": r"^stages\.(\d+)" + ("" if coarse else r"\.(\d+)")}


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

    def maps(self, images: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """What each of the three stages gives; the last is what is pooled."""
        return in_turn(self.stages, self.stem(images))

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """How names of parameters make the stem, stages and blocks, in timm's form."""
        return _stem_and_stages(coarse=coarse)


_LONGEST = 256
"""Steps that the stem brings a series to at most."""


class SeriesResNet(nn.Module):
    """Three stages of two residual blocks, halving the steps and doubling the channels.

    A residual network after Wang, Yan and Oates 2017 with the basic block; its stem strides over
    long series until at most 256 steps are left. Features are the mean over the last steps.

    Args:
        channels: Channels of the series.
        width: Channels of the first stage; the last has four times as many, which is
            `num_features`.
        steps: Length of the series; decides the stem's stride only.
    """

    def __init__(self, *, channels: int, width: int, steps: int) -> None:
        super().__init__()
        stride = -(-steps // _LONGEST)
        self.stem = stem(OF_SERIES, channels, width, kernel=2 * stride + 3, stride=stride)
        self.stages = three_stages(OF_SERIES, width)
        self.num_features = 4 * width
        initialise_convolutions(self)

    def forward(
        self, series: Float[Tensor, "batch channels steps"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised series."""
        return self.stages(self.stem(series)).mean(dim=2)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """How names of parameters make the stem, stages and blocks, in timm's form."""
        return _stem_and_stages(coarse=coarse)


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

    def maps(self, images: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """What each of the three stages gives; the last is what is pooled."""
        blocks = len(self.stages) // 3
        return in_turn(self.stages, self.stem(images))[blocks - 1 :: blocks]

    def group_matcher(self, coarse: bool = False) -> Callable[[str], tuple[int, ...]]:
        """How names of parameters make the stem, stages and blocks, in timm's form."""
        blocks = len(self.stages) // 3

        def place(name: str) -> tuple[int, ...]:
            room, number = name.split(".")[:2]
            if room == "stem":
                return (0,)
            return (1, int(number) // blocks if coarse else int(number))

        return place


class PaddedShortcut(nn.Module):
    """Every second pixel, with channels of zeros on both sides."""

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
