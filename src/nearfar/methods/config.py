"""What a run says of its method. Imports nothing heavy: the command line reads it for its help.

A method's class is its name in `config.json`, its options and their defaults.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SimCLRConfig:
    """SimCLR (Chen et al. 2020): two views of an image near, all other images far."""

    name: Literal["simclr"] = "simclr"
    """Names the method in `config.json`."""
    temperature: float = 0.5
    """Divides cosine similarities in the loss; above 0."""
    projection_hidden: int = 512
    """Width of the projection head's hidden layer."""
    projection_dim: int = 128
    """Width of the embedding that the loss compares."""


@dataclass(frozen=True)
class SupConConfig:
    """SupCon (Khosla et al. 2020): views of all images of a class near, other classes far."""

    name: Literal["supcon"] = "supcon"
    """Names the method in `config.json`."""
    temperature: float = 0.1
    """Divides cosine similarities in the loss; above 0."""
    kind: Literal["out", "in"] = "out"
    """Mean over positives outside the logarithm, as its authors recommend, or inside."""
    projection_hidden: int = 512
    """Width of the projection head's hidden layer."""
    projection_dim: int = 128
    """Width of the embedding that the loss compares."""


@dataclass(frozen=True)
class CrossEntropyConfig:
    """Cross-entropy: the supervised baseline, a linear classifier on the encoder."""

    name: Literal["cross-entropy"] = "cross-entropy"
    """Names the method in `config.json`."""


@dataclass(frozen=True)
class BalancedSoftmaxConfig:
    """Balanced softmax (Ren et al. 2020): cross-entropy that knows how often each class occurs."""

    name: Literal["balanced-softmax"] = "balanced-softmax"
    """Names the method in `config.json`."""


MethodConfig = SimCLRConfig | SupConConfig | CrossEntropyConfig | BalancedSoftmaxConfig
"""Any method's settings."""
