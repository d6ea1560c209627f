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


MethodConfig = SimCLRConfig
"""Any method's settings."""
