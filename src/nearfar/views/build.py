"""From the specs of views to the views, whatever the examples are."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Generator, Tensor

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
    return _float_views(spec, series_view, shape, mean, std)


def vector_views(
    spec: VectorViewsSpec | ScarfViewsSpec,
    shape: tuple[int, ...],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> FloatViews:
    """Views of vectors `(features,)`."""
    return _float_views(spec, vector_view, shape, mean, std)


def _float_views(
    spec: SeriesViewsSpec | VectorViewsSpec | ScarfViewsSpec,
    view: Callable[[Tensor, Any, Generator], Tensor],
    shape: tuple[int, ...],
    mean: Sequence[float],
    std: Sequence[float],
) -> FloatViews:
    """Views of real numbers."""
    return FloatViews(
        view,
        spec.parameters(),
        shape=shape,
        mean=mean,
        std=std,
        modality=spec.takes,
        count=spec.count,
    )
