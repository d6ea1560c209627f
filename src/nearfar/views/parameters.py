"""Everything one random view of an example needs to know. Imports nothing heavy."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from nearfar.errors import SettingError
from nearfar.spec import NotNegative, Share, Spec
from nearfar.views.policies import HIGHEST_LEVEL, Policy

SidePixels = Annotated[int, Ge(1), Le(4096)]
"""Of a view, in pixels; at most that of images from files."""

MOST_OPERATIONS = 10
Operations = Annotated[int, Ge(1), Le(MOST_OPERATIONS)]
Level = Annotated[int, Ge(0), Le(HIGHEST_LEVEL)]


class ViewParameters(Spec):
    """How one view of an image is drawn; the operations are applied in the order listed here."""

    room: ClassVar[str] = "views."

    size: SidePixels
    """Side of the view in pixels."""
    crop_scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest share of the image's area that the crop keeps; above 0, at most 1."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest width over height of the crop; drawn log-uniformly."""
    padding: Share = 0.0
    """How far beyond the image's edges the crop may lie, as a share of its sides; black there."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    rotation: Annotated[float, Ge(0), Le(180)] = 0.0
    """Largest rotation either way, degrees; what turns in from outside is black."""
    policy: Policy = "none"
    """AutoAugment's or RandAugment's operations, on bytes."""
    policy_operations: Operations = 2
    """RandAugment's n: operations in turn."""
    policy_magnitude: Level = 9
    """RandAugment's magnitude; 30 is full strength."""
    jitter: Share = 0.8
    """Probability that the four colour factors below are applied, in random order."""
    brightness: NotNegative = 0.0
    """The factor is uniform in `[max(0, 1 - brightness), 1 + brightness]`."""
    contrast: NotNegative = 0.0
    """As brightness, towards the mean grey of the image."""
    saturation: NotNegative = 0.0
    """As brightness, towards the pixel's own grey; 3 channels only."""
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.0
    """Largest shift of the hue either way, as a share of the colour circle; 3 channels only."""
    grey: Share = 0.0
    """Probability of losing all colour; 3 channels only."""
    blur: Share = 0.0
    """Probability of Gaussian blur; the kernel spans a tenth of the view's side."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Smallest and largest standard deviation of the blur, pixels of the view."""
    solarize: Share = 0.0
    """Probability of inverting every value of at least half."""
    cutout: Share = 0.0
    """Side of Cutout's square, as a share of the view's; it takes the data's mean colour."""

    def check(self) -> None:
        """Ranges have two ends."""
        require_shares("views.crop_scale", self.crop_scale)
        for name in ("crop_ratio", "blur_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise SettingError(
                    f"views.{name} is {low:g} to {high:g}: needs 0 < smallest <= largest"
                )

    @property
    def blur_radius(self) -> int:
        """Pixels that the blur kernel reaches either way: SimCLR's tenth of the side, made odd."""
        return self.size // 10 // 2

    @property
    def cutout_side(self) -> int:
        """Side of Cutout's square, pixels of the view."""
        return round(self.cutout * self.size)


@dataclass(frozen=True)
class SeriesParameters:
    """How one view of a series is drawn; the operations are applied in the order listed here.

    Lengths are shares of the series, values are in standard deviations of the channel.
    """

    crop_length: tuple[float, float] = (1.0, 1.0)
    """Smallest and largest share of the steps that the crop keeps; above 0, at most 1."""
    scaling: float = 0.0
    """Standard deviation about 1 of the factor on each channel."""
    noise: float = 0.0
    """Standard deviation of what is added to each value."""
    time_mask: float = 0.0
    """Largest share of the steps that is masked, in one piece; uniform from 0."""
    channel_drop: float = 0.0
    """Probability that a channel is masked; at least one stays."""


@dataclass(frozen=True)
class VectorParameters:
    """How one view of a vector is drawn; the operations are applied in the order listed here.

    Values are in standard deviations of the feature.
    """

    corruption: float = 0.0
    """Probability that a feature is replaced by that of another vector (Bahri et al. 2022)."""
    mixup: float = 0.0
    """Largest weight of another vector that is mixed in, uniform from 0 (Verma et al. 2021)."""
    noise: float = 0.0
    """Standard deviation of what is added to each value."""


@dataclass(frozen=True)
class TextParameters:
    """How one view of a text is drawn; the operations are applied in the order listed here."""

    crop_length: tuple[float, float] = (1.0, 1.0)
    """Smallest and largest share of the words that the crop keeps; above 0, at most 1."""
    deletion: float = 0.0
    """Probability that a word is left out; at least one stays."""
    masking: float = 0.0
    """Probability that one sign stands for a word."""


def require_shares(name: str, ends: tuple[float, float]) -> None:
    """A range of shares of a whole."""
    low, high = ends
    if not 0 < low <= high <= 1:
        raise SettingError(f"{name} is {low:g} to {high:g}: needs 0 < smallest <= largest <= 1")
