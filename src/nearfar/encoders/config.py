"""What a run says of its encoder. Imports nothing heavy: the command line reads it for its help."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EncoderConfig:
    """Which backbone, and how it is adapted to the images."""

    name: str = "small-resnet"
    """small-resnet (8 to 32 px), or timm/NAME for any timm model, such as timm/resnet50."""
    stem: Literal["standard", "small"] = "standard"
    """small: 3×3 first convolution of stride 1, no max-pool; for timm ResNets on small images."""
    width: int = 32
    """Channels of small-resnet's first stage; each later stage doubles them."""
