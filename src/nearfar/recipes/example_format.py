"""What an encoder must know of its examples, and the views that are drawn of such."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nearfar.data.normalisation import channel_statistics
from nearfar.data.source import Part
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import told_at
from nearfar.methods.method_spec import SECOND_ENCODER, SECOND_VIEWS, MethodSpec
from nearfar.modality import channels_of
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.start import Start
from nearfar.table_features import TableFeature
from nearfar.views.float_views import FloatViews
from nearfar.views.paired_views import PairedViews
from nearfar.views.views import Views


@dataclass(frozen=True)
class Format:
    """What an encoder must know of its examples.

    Attributes:
        shape: Of a view, and of what the encoder is given afterwards: `(channels, size, size)`,
            `(channels, steps)`, `(features,)` or `(bytes,)`.
        mean: Mean of each channel or feature over the training part; of images in units where 255
            is 1.
        std: Standard deviation of each, likewise.
        learnt: What the encoder has learnt of the data before its first step, a tokeniser for one,
            by the names of its buffers.
        second: The same of what is paired with the examples; None where nothing is.
        columns: What each feature of vectors is of a table; None where that is not known.
    """

    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    learnt: Mapping[str, Tensor] = field(default_factory=dict)
    second: "Format | None" = None
    columns: tuple[TableFeature, ...] | None = None

    @classmethod
    def of_encoder(cls, encoder: SavedEncoder, second: SavedEncoder | None = None) -> "Format":
        """What a trained encoder knows of its examples, and a second one of their partners."""
        learnt = {name: encoder.backbone.get_buffer(name) for name in encoder.config.learnt}
        mean, std = tuple(encoder.mean.tolist()), tuple(encoder.std.tolist())
        learnt = {name: each.cpu() for name, each in learnt.items()}
        paired = None if second is None else cls.of_encoder(second)
        return cls(encoder.shape, mean, std, learnt, paired, encoder.columns)


def format_of(
    recipe: Recipe, part: Part, start: Start | None = None, second_start: Start | None = None
) -> Format:
    """Shape and statistics of the examples that an encoder learns from.

    Args:
        recipe: Its views may set another side than the images' shorter one.
        part: The examples.
        start: What the encoder begins with: it goes on with the statistics that it knows, where
            there are such.
        second_start: The same of the second encoder.
    """
    shape = recipe.views.shape_of(part.example_shape)
    mean, std = _statistics(part, shape, start)
    learnt = {}
    if recipe.encoder.learnt:
        assert isinstance(part.examples, Tensor)
        learnt = recipe.encoder.learn(part.examples)
    return Format(shape, mean, std, learnt, _second_format(recipe.method, part, second_start))


def _statistics(
    part: Part, shape: tuple[int, ...], start: Start | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel: those that a start knows, else those of the examples."""
    channels = channels_of(part.modality, shape)
    known = None if start is None else start.origin.statistics(channels, part.modality)
    return known or channel_statistics(part)


def _second_format(method: MethodSpec, part: Part, start: Start | None) -> Format | None:
    """The same of what is paired with the examples; None where nothing is."""
    side = method.second_side
    if side is None or part.partners is None:
        return None
    paired = part.partners.used().as_part()
    assert isinstance(paired.examples, Tensor)
    shape = side.views.shape_of(paired.example_shape)
    mean, std = _statistics(paired, shape, start)
    with told_at(EncoderSpec.room, SECOND_ENCODER):
        learnt = side.encoder.learn(paired.examples)
    return Format(shape, mean, std, learnt)


def views_of(recipe: Recipe, example_format: Format) -> Views:
    """The views that a recipe asks for, of examples of this format."""
    shape, mean, std = example_format.shape, example_format.mean, example_format.std
    views = recipe.views.build(shape, mean=mean, std=std)
    if isinstance(views, FloatViews) and example_format.columns is not None:
        return views.by_column([feature.column for feature in example_format.columns])
    return views


def training_views_of(recipe: Recipe, example_format: Format) -> Views | PairedViews:
    """The same with those of what is paired with the examples, where the method learns from it."""
    views, second = views_of(recipe, example_format), example_format.second
    side = recipe.method.second_side
    if second is None or side is None:
        return views
    with told_at(side.views.room, SECOND_VIEWS):
        paired = side.views.build(second.shape, mean=second.mean, std=second.std)
    return PairedViews(views, paired)
