"""Everything one random view of an image needs to know. Imports nothing heavy."""

from dataclasses import dataclass

from nearfar.errors import SettingError

_LARGEST_SIDE = 4096  # as that of images from files


@dataclass(frozen=True)
class ViewParameters:
    """How one view of an image is drawn; the operations are applied in the order listed here."""

    size: int
    """Side of the view in pixels."""
    crop_scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest share of the image's area that the crop keeps; above 0, at most 1."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest width over height of the crop; drawn log-uniformly."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    rotation: float = 0.0
    """Largest rotation either way, degrees; what turns in from outside is black."""
    jitter: float = 0.8
    """Probability that the four colour factors below are applied, in random order."""
    brightness: float = 0.0
    """The factor is uniform in `[max(0, 1 - brightness), 1 + brightness]`."""
    contrast: float = 0.0
    """As brightness, towards the mean grey of the image."""
    saturation: float = 0.0
    """As brightness, towards the pixel's own grey; 3 channels only."""
    hue: float = 0.0
    """Largest shift of the hue either way, as a share of the colour circle; 3 channels only."""
    grey: float = 0.0
    """Probability of losing all colour; 3 channels only."""
    blur: float = 0.0
    """Probability of Gaussian blur; the kernel spans a tenth of the view's side."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Smallest and largest standard deviation of the blur, pixels of the view."""
    solarize: float = 0.0
    """Probability of inverting every value of at least half."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            SettingError: A value lies outside its range; the message names it.
        """
        if not 1 <= self.size <= _LARGEST_SIDE:
            raise SettingError(
                f"views.size is {self.size}: a view needs a side of 1 pixel or more, at most "
                f"{_LARGEST_SIDE}"
            )
        for name in ("flip", "jitter", "grey", "blur", "solarize"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise SettingError(f"views.{name} is {value:g}: a probability lies in 0 to 1")
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise SettingError(
                f"views.crop_scale is {low:g} to {high:g}: needs 0 < smallest <= largest <= 1"
            )
        for name in ("crop_ratio", "blur_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high < float("inf"):
                raise SettingError(
                    f"views.{name} is {low:g} to {high:g}: needs 0 < smallest <= largest"
                )
        if not 0 <= self.rotation <= 180:
            raise SettingError(f"views.rotation is {self.rotation:g}: needs 0 to 180 degrees")
        for name in ("brightness", "contrast", "saturation"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise SettingError(f"views: {name} is {value:g}: needs 0 or more")
        if not 0 <= self.hue <= 0.5:
            raise SettingError(f"views: hue is {self.hue:g}: needs 0 to 0.5 of the colour circle")

    @property
    def blur_radius(self) -> int:
        """Pixels that the blur kernel reaches either way: SimCLR's tenth of the side, made odd."""
        return self.size // 10 // 2
