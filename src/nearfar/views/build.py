"""From the specs of views to the views, whatever the examples are."""

from collections.abc import Sequence

from nearfar.views.float_views import FloatViews
from nearfar.views.random_views import RandomViews
from nearfar.views.series import series_view
from nearfar.views.specs import ImageViewsSpec, ScarfViewsSpec, SeriesViewsSpec, VectorViewsSpec
from nearfar.views.vectors import vector_view

Views = RandomViews | FloatViews
"""Called with examples and a generator, views of them."""


def image_views(
    spec: ImageViewsSpec, shape: tuple[int, ...], *, mean: Sequence[float], std: Sequence[float]
) -> RandomViews:
    """Views of images `(channels, size, size)`."""
    return RandomViews(
        spec.parameters(shape[0], shape[1]),
        channels=shape[0],
        mean=mean,
        std=std,
        count=spec.count,
        implementation=spec.implementation,
    )


def series_views(
    spec: SeriesViewsSpec, shape: tuple[int, ...], *, mean: Sequence[float], std: Sequence[float]
) -> FloatViews:
    """Views of series `(channels, steps)`."""
    parameters = spec.parameters()
    return FloatViews(series_view, parameters, shape=shape, mean=mean, std=std, count=spec.count)


def vector_views(
    spec: VectorViewsSpec | ScarfViewsSpec,
    shape: tuple[int, ...],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> FloatViews:
    """Views of vectors `(features,)`."""
    parameters = spec.parameters()
    return FloatViews(vector_view, parameters, shape=shape, mean=mean, std=std, count=spec.count)
