"""What of a method's settings can be refused at once. Imports nothing heavy."""

from nearfar.errors import SettingError
from nearfar.methods.config import SimCLRConfig


def check_simclr(config: SimCLRConfig) -> None:
    """Refuse settings that cannot be trained with.

    Raises:
        SettingError: A temperature or a width that is not above 0.
    """
    for name in ("temperature", "projection_hidden", "projection_dim"):
        value = getattr(config, name)
        if not 0 < value < float("inf"):
            raise SettingError(f"method.{name} is {value}: it must be above 0")
