"""Mean and standard deviation that views are normalised with."""

from collections.abc import Sequence

from nearfar.errors import SettingError


def check_statistics(
    mean: Sequence[float], std: Sequence[float], *, count: int, examples: str
) -> None:
    """Refuse statistics that do not fit the examples.

    Args:
        mean: Mean of each channel or feature.
        std: Standard deviation of each.
        count: How many channels or features there are.
        examples: What they are of, for messages.

    Raises:
        SettingError: There are more or fewer than `count`, or a deviation is not above 0.
    """
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != count:
            raise SettingError(f"views: {name} has {len(values)} values for {examples}")
    if min(std) <= 0:
        raise SettingError(f"views: std is {min(std):g} in a channel: needs to be above 0")
