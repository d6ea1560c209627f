"""What a run says of its encoder. Imports nothing heavy: the command line reads it for its help."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EncoderConfig:
    """Which backbone, and how it is adapted to the data."""

    name: str = "small-resnet"
    """small-resnet (8 to 32 px), cifar-resnet20, cifar-resnet32 (32 px), small-alexnet (64 px),
    patch-gru (CPC) or timm/NAME for images; series-resnet or series-gru (CPC) for series; mlp for
    vectors."""
    stem: Literal["standard", "small"] = "standard"
    """small: 3×3 first convolution of stride 1, no max-pool; for timm ResNets on small images."""
    width: int = 32
    """Channels of a ResNet's first stage, which each later one doubles, or of an AlexNet's first
    layer; a quarter of a GRU's units; units of an mlp's layer."""
    depth: int = 2
    """Layers of an mlp."""
