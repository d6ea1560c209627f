"""Everything one random view of a series or of a vector needs to know. Imports nothing heavy."""

from dataclasses import dataclass

from nearfar.errors import SettingError


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

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            SettingError: A value lies outside its range; the message names it.
        """
        low, high = self.crop_length
        if not 0 < low <= high <= 1:
            raise SettingError(
                f"views.crop_length is {low:g} to {high:g}: needs 0 < smallest <= largest <= 1"
            )
        for name in ("scaling", "noise"):
            _check(name, getattr(self, name), highest=float("inf"))
        for name in ("time_mask", "channel_drop"):
            _check(name, getattr(self, name), highest=1.0)


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

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            SettingError: A value lies outside its range; the message names it.
        """
        _check("corruption", self.corruption, highest=1.0)
        # From a half on, the other vector would be the one that the view is of.
        _check("mixup", self.mixup, highest=0.5)
        _check("noise", self.noise, highest=float("inf"))


def _check(name: str, value: float, *, highest: float) -> None:
    """Refuse a value below 0, above the highest, or infinite."""
    if not (0 <= value <= highest and value < float("inf")):
        upper = "0 or more" if highest == float("inf") else f"0 to {highest:g}"
        raise SettingError(f"views.{name} is {value:g}: needs {upper}")
