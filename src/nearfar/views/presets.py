"""The views of published methods, by name. Imports nothing heavy."""

from dataclasses import replace
from typing import Any

from nearfar.errors import SettingError, unknown_name
from nearfar.views.config import ViewsConfig
from nearfar.views.parameters import ViewParameters


def jitter_of_strength(strength: float) -> dict[str, float]:
    """SimCLR's s as the four ranges of colour jitter (Chen et al. 2020, appendix A).

    Raises:
        SettingError: The strength is negative, or shifts hue by more than half the circle.
    """
    if not 0 <= strength <= 2.5:
        raise SettingError(f"views.jitter_strength is {strength:g}: needs 0 to 2.5 (hue is 0.2s)")
    return {
        "brightness": 0.8 * strength,
        "contrast": 0.8 * strength,
        "saturation": 0.8 * strength,
        "hue": 0.2 * strength,
    }


_SIMCLR: dict[str, Any] = {"grey": 0.2, "blur": 0.5, **jitter_of_strength(1.0)}
_MOCO: dict[str, Any] = {
    "crop_scale": (0.2, 1.0),
    "grey": 0.2,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
}
_MOCO_V1 = _MOCO | {"jitter": 1.0, "hue": 0.4}
_MOCO_V2 = _MOCO | {"hue": 0.1, "blur": 0.5}
_BYOL: dict[str, Any] = {
    "grey": 0.2,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.2,
    "hue": 0.1,
}
_DIGITS: dict[str, Any] = {
    "crop_scale": (0.5, 1.0),
    "flip": 0.0,
    "rotation": 15.0,
    "brightness": 0.4,
    "contrast": 0.4,
}

# Each preset: the first view's parameters and the second's.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "simclr": (_SIMCLR, _SIMCLR),
    "moco-v1": (_MOCO_V1, _MOCO_V1),
    "moco-v2": (_MOCO_V2, _MOCO_V2),
    "byol": (_BYOL | {"blur": 1.0}, _BYOL | {"blur": 0.1, "solarize": 0.2}),
    "digits": (_DIGITS, _DIGITS),
}

_OVERRIDES = (
    "crop_scale",
    "crop_ratio",
    "flip",
    "rotation",
    "jitter",
    "grey",
    "blur",
    "solarize",
)


def resolve(
    config: ViewsConfig, channels: int, size: int | None = None
) -> tuple[ViewParameters, ViewParameters]:
    """The parameters of both views: the preset's, with the settings of `config` in their place.

    A setting that is given replaces the preset's value in both views. Saturation, hue and grey
    have no meaning without red, green and blue: the preset's are set to 0 unless `channels` is 3.

    Args:
        config: Preset and changes.
        channels: Channels of the images; 1 or more.
        size: Side of a view where `config.size` is left out.

    Raises:
        SettingError: The preset is unknown, a value is out of range, no size is known, or
            `config.grey` is asked of images without colour.
    """
    if config.preset not in PRESETS:
        raise unknown_name("preset of views", config.preset, PRESETS)
    if config.count < 2:
        raise SettingError(f"views.count is {config.count}: needs 2 views or more")
    if channels < 1:
        raise SettingError(f"views of images with {channels} channels: needs 1 or more")
    side = size if config.size is None else config.size
    if side is None:
        raise SettingError("views.size is left out and the images' side is unknown: set it")
    changes: dict[str, Any] = {
        name: value for name in _OVERRIDES if (value := getattr(config, name)) is not None
    }
    if config.jitter_strength is not None:
        changes |= jitter_of_strength(config.jitter_strength)
    first, second = (
        ViewParameters(size=side, **(preset | changes)) for preset in PRESETS[config.preset]
    )
    if channels == 3:
        return first, second
    if config.grey:
        raise SettingError(
            f"views.grey is {config.grey:g}: images of {channels} channels have none"
        )
    return _without_colour(first), _without_colour(second)


def _without_colour(parameters: ViewParameters) -> ViewParameters:
    """The same parameters with the operations left out that need red, green and blue."""
    return replace(parameters, saturation=0.0, hue=0.0, grey=0.0)
