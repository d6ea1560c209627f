"""The views of published methods, by name. Imports nothing heavy."""

from dataclasses import fields, replace
from typing import Any

from nearfar.bounds import check_numbers
from nearfar.errors import SettingError, unknown_name
from nearfar.modality import Modality
from nearfar.views.config import ViewsConfig
from nearfar.views.float_parameters import SeriesParameters, VectorParameters
from nearfar.views.parameters import ViewParameters

_MOST_VIEWS = 1024


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

_SERIES = SeriesParameters(
    crop_length=(0.5, 1.0), scaling=0.2, noise=0.1, time_mask=0.2, channel_drop=0.0
)
_VECTORS = VectorParameters(corruption=0.3, mixup=0.2, noise=0.1)

SERIES_PRESETS = {"series": (_SERIES, _SERIES)}
VECTOR_PRESETS = {
    "vectors": (_VECTORS, _VECTORS),
    "scarf": (VectorParameters(), VectorParameters(corruption=0.6)),
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
    _check_common(config, "images")
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


def views_modality(config: ViewsConfig) -> Modality:
    """What the preset makes views of.

    Raises:
        SettingError: The preset is unknown.
    """
    known: dict[Modality, dict[str, Any]] = {
        "images": PRESETS,
        "series": SERIES_PRESETS,
        "vectors": VECTOR_PRESETS,
    }
    for modality, presets in known.items():
        if config.preset in presets:
            return modality
    raise unknown_name(
        "preset of views", config.preset, [*PRESETS, *SERIES_PRESETS, *VECTOR_PRESETS]
    )


def resolve_series(config: ViewsConfig) -> tuple[SeriesParameters, SeriesParameters]:
    """The parameters of both views of series: the preset's, changed as `config` says.

    Raises:
        SettingError: The preset is of another kind, a setting has no meaning for series, or a
            value is out of range.
    """
    _check_common(config, "series")
    first, second = SERIES_PRESETS[config.preset]
    changes = _given(config, SeriesParameters)
    return replace(first, **changes), replace(second, **changes)


def resolve_vectors(config: ViewsConfig) -> tuple[VectorParameters, VectorParameters]:
    """The parameters of both views of vectors: the preset's, changed as `config` says.

    Raises:
        SettingError: The preset is of another kind, a setting has no meaning for vectors, or a
            value is out of range.
    """
    _check_common(config, "vectors")
    first, second = VECTOR_PRESETS[config.preset]
    changes = _given(config, VectorParameters)
    return replace(first, **changes), replace(second, **changes)


def check_views(config: ViewsConfig) -> None:
    """Refuse what no data could make drawable, before any are read.

    Raises:
        SettingError: As `resolve`, `resolve_series` or `resolve_vectors`, whichever the preset asks
            for.
    """
    modality = views_modality(config)
    if modality == "series":
        resolve_series(config)
    elif modality == "vectors":
        resolve_vectors(config)
    else:
        # The channels and the side are the images' own, as yet unknown: any will do for the check.
        resolve(config, channels=3, size=32)


def _check_common(config: ViewsConfig, modality: Modality) -> None:
    """Refuse a preset or a setting of another modality, and too few views."""
    if (own := views_modality(config)) != modality:
        raise SettingError(f"views.preset {config.preset} is for {own}, and these are {modality}")
    check_numbers(config, "views.")
    if not 1 <= config.count <= _MOST_VIEWS:
        raise SettingError(
            f"views.count is {config.count}: needs 1 view or more, at most {_MOST_VIEWS}"
        )
    usable = {"preset", "count"} | {
        "images": {*_OVERRIDES, "implementation", "size", "jitter_strength"},
        "series": {field.name for field in fields(SeriesParameters)},
        "vectors": {field.name for field in fields(VectorParameters)},
    }[modality]
    for field in fields(config):
        if field.name not in usable and getattr(config, field.name) != field.default:
            raise SettingError(
                f"views.{field.name} has no meaning for {modality}, which the preset "
                f"{config.preset} is for: leave it out"
            )


def _given(config: ViewsConfig, kind: type) -> dict[str, Any]:
    """What `config` sets of the parameters of this kind."""
    names = [field.name for field in fields(kind)]
    return {name: getattr(config, name) for name in names if getattr(config, name) is not None}


def _without_colour(parameters: ViewParameters) -> ViewParameters:
    """The same parameters with the operations left out that need red, green and blue."""
    return replace(parameters, saturation=0.0, hue=0.0, grey=0.0)
