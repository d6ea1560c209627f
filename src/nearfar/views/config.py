"""What a run says of its views. Imports nothing heavy: the command line reads it for its help."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ViewsConfig:
    """A preset, and what is changed in it: None keeps the preset's value."""

    preset: str = "simclr"
    """simclr, moco-v1, moco-v2, byol or digits; series for series; vectors or scarf for vectors."""
    implementation: Literal["fused", "exact"] = "fused"
    """fused is fast; exact follows the published order of operations step by step."""
    count: int = 2
    """Views of each example, 2 or more for most methods; odd ones are drawn as the first, even
    ones as the second."""
    size: int | None = None
    """Side of a view in pixels; the image's own side where left out."""
    crop_scale: tuple[float, float] | None = None
    """Smallest and largest share of the area that a crop keeps; 0 to 1."""
    crop_ratio: tuple[float, float] | None = None
    """Smallest and largest width over height of a crop."""
    flip: float | None = None
    """Probability of a horizontal flip."""
    rotation: float | None = None
    """Largest rotation either way, degrees."""
    jitter: float | None = None
    """Probability of colour jitter."""
    jitter_strength: float | None = None
    """SimCLR's s: brightness, contrast and saturation .8s, hue .2s."""
    grey: float | None = None
    """Probability of losing all colour."""
    blur: float | None = None
    """Probability of Gaussian blur."""
    solarize: float | None = None
    """Probability of inverting what is brighter than half."""
    noise: float | None = None
    """Series, vectors: deviation of added normal noise, in deviations of the channel or feature."""
    scaling: float | None = None
    """Series: deviation about 1 of the normal factor on each channel."""
    crop_length: tuple[float, float] | None = None
    """Series: smallest and largest share of the steps that a crop keeps, stretched to all."""
    time_mask: float | None = None
    """Series: largest share of the steps, in one piece, that is set to the channels' means."""
    channel_drop: float | None = None
    """Series: probability that a channel is set to its mean; one always stays."""
    corruption: float | None = None
    """Vectors: probability that a feature is taken from another vector of the batch."""
    mixup: float | None = None
    """Vectors: largest weight of another vector that is mixed in; 0 to 0.5."""
