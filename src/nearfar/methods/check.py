"""What of a method's settings can be refused at once. Imports nothing heavy."""

from nearfar.errors import SettingError, unknown_name
from nearfar.methods.catalogue import METHODS
from nearfar.methods.config import MethodConfig, SimCLRConfig, SupConConfig


def check_method(config: MethodConfig) -> None:
    """Refuse settings that cannot be trained with.

    Raises:
        SettingError: Naming the first such setting, its value and what it may be.
    """
    if isinstance(config, SimCLRConfig):
        check_simclr(config)
    elif isinstance(config, SupConConfig):
        check_supcon(config)


def check_labels(config: MethodConfig, labelled: bool, source: str) -> None:
    """Refuse to train a method that learns from labels on data without.

    Args:
        config: Of the method.
        labelled: Whether what it would learn from has labels.
        source: Name of the data.

    Raises:
        SettingError: The method needs labels and there are none.
    """
    info = METHODS[config.name]
    if info.needs_labels and not labelled:
        raise SettingError(
            f"{info.title} learns from labels, and the part of {source} to learn from has none: "
            "choose another method, or data with labels"
        )


def check_simclr(config: SimCLRConfig) -> None:
    """Refuse what SimCLR cannot be trained with.

    Raises:
        SettingError: A temperature or a width that is not above 0.
    """
    require_above_zero(config, "temperature", "projection_hidden", "projection_dim")


def check_supcon(config: SupConConfig) -> None:
    """Refuse what SupCon cannot be trained with.

    Raises:
        SettingError: A temperature or a width that is not above 0, or an unknown kind.
    """
    require_above_zero(config, "temperature", "projection_hidden", "projection_dim")
    if config.kind not in ("out", "in"):
        raise unknown_name("method.kind", config.kind, ("out", "in"))


def require_above_zero(config: MethodConfig, *names: str) -> None:
    """Refuse a setting that is 0, negative, infinite or no number.

    Raises:
        SettingError: Naming it.
    """
    for name in names:
        value = getattr(config, name)
        if not 0 < value < float("inf"):
            raise SettingError(f"method.{name} is {value}: it must be above 0")
