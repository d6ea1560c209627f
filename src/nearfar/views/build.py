"""From the settings of views to the views, whatever the examples are."""

from collections.abc import Sequence

from nearfar.modality import modality_of
from nearfar.views.config import ViewsConfig
from nearfar.views.float_views import FloatViews
from nearfar.views.presets import resolve_series, resolve_vectors
from nearfar.views.random_views import RandomViews, build_views
from nearfar.views.series import series_view
from nearfar.views.vectors import vector_view

Views = RandomViews | FloatViews
"""Called with examples and a generator, views of them."""


def views_for(
    config: ViewsConfig, shape: tuple[int, ...], *, mean: Sequence[float], std: Sequence[float]
) -> Views:
    """The views that a run asks for.

    Args:
        config: Preset, changes and number of views.
        shape: Of one view: `(channels, size, size)`, `(channels, steps)` or `(features,)`.
        mean: Mean of each channel or feature.
        std: Standard deviation of each; above 0.

    Raises:
        SettingError: A setting is unknown, out of range, or of no meaning for such examples.
    """
    modality = modality_of(shape)
    if modality == "images":
        return build_views(config, channels=shape[0], size=shape[1], mean=mean, std=std)
    if modality == "series":
        view, parameters = series_view, resolve_series(config)
    else:
        view, parameters = vector_view, resolve_vectors(config)
    return FloatViews(view, parameters, shape=shape, mean=mean, std=std, count=config.count)
