"""The views that a run may ask for: presets of published methods, and what is changed in them.

Imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.errors import SettingError
from nearfar.modality import ForExamples
from nearfar.spec import NotNegative, Share, settings_of
from nearfar.views.parameters import (
    Level,
    Operations,
    SeriesParameters,
    SidePixels,
    TextParameters,
    VectorParameters,
    ViewParameters,
    require_shares,
)
from nearfar.views.policies import Policy

if TYPE_CHECKING:
    from nearfar.views.views import Views


class ViewsSpec(ForExamples, noun="preset of views"):
    """Random views of examples.

    Attributes:
        name: simclr, moco-v1, moco-v2, byol, paco or digits; series for series; vectors or scarf
            for vectors; text or simcse for texts.
    """

    room: ClassVar[str] = "views."

    count: Annotated[int, Ge(1), Le(1024)] = 2
    """Views of each example, 2 or more for most methods; odd ones are drawn as the first, even
    ones as the second."""

    @property
    def draws(self) -> bool:
        """Whether two views of one example differ."""
        return True

    def shape_of(self, example: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a view.

        Args:
            example: Shape of an example.
        """
        return example

    def build(
        self, shape: tuple[int, ...], *, mean: Sequence[float], std: Sequence[float]
    ) -> "Views":
        """The views of examples of a shape.

        Args:
            shape: Of one view: `(channels, size, size)`, `(channels, steps)`, `(features,)` or
                `(bytes,)`.
            mean: Mean of each channel or feature; of images 0 to 1; texts have none.
            std: Standard deviation of each, in the same units; above 0.

        Raises:
            SettingError: No example that they are of has such a shape, or a setting does not fit.
        """
        self.require_sides(shape)
        return super().build(shape, mean=mean, std=std)


def jitter_of_strength(strength: float) -> dict[str, float]:
    """SimCLR's s as the four ranges of colour jitter (Chen et al. 2020, appendix A)."""
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
_WHOLE: dict[str, Any] = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0)}
_AUTOAUGMENT: dict[str, Any] = _WHOLE | {
    "padding": 0.125,
    "policy": "autoaugment-cifar10",
    "jitter": 0.0,
    "cutout": 0.5,
}
_DIGITS: dict[str, Any] = {
    "crop_scale": (0.5, 1.0),
    "flip": 0.0,
    "rotation": 15.0,
    "brightness": 0.4,
    "contrast": 0.4,
}


class ImageViewsSpec(ViewsSpec):
    """Views of images; a setting that is given replaces the preset's in both views.

    Attributes:
        preset: The first view's parameters and the second's, where they are not the usual ones.
    """

    target: ClassVar[str] = "nearfar.views.random_views:image_views"
    preset: ClassVar[tuple[dict[str, Any], dict[str, Any]]]

    implementation: Literal["fused", "exact"] = "fused"
    """fused is fast; exact follows the published order of operations step by step."""
    size: SidePixels | None = None
    """Side of a view in pixels; the image's own side where left out."""
    crop_scale: tuple[float, float] | None = None
    """Smallest and largest share of the area that a crop keeps; 0 to 1."""
    crop_ratio: tuple[float, float] | None = None
    """Smallest and largest width over height of a crop."""
    flip: float | None = None
    """Probability of a horizontal flip."""
    rotation: float | None = None
    """Largest rotation either way, degrees."""
    jitter: float | None = None
    """Probability of colour jitter."""
    jitter_strength: Annotated[float, Ge(0), Le(2.5)] | None = None
    """SimCLR's s: brightness, contrast and saturation .8s, hue .2s."""
    grey: float | None = None
    """Probability of losing all colour."""
    blur: float | None = None
    """Probability of Gaussian blur."""
    solarize: float | None = None
    """Probability of inverting what is brighter than half."""
    padding: Share | None = None
    """How far beyond the image's edges a crop may lie, as a share of its sides; black there."""
    policy: Policy | None = None
    """Operations on bytes after crop and flip: AutoAugment's tables (Cubuk et al. 2019), or
    RandAugment (2020)."""
    policy_operations: Operations | None = None
    """RandAugment's n: operations in turn; 2 where left out."""
    policy_magnitude: Level | None = None
    """RandAugment's magnitude, 30 being full strength; 9 where left out."""
    cutout: Share | None = None
    """Side of a square of the mean colour, as a share of the view's (DeVries & Taylor 2017)."""

    def shape_of(self, example: tuple[int, ...]) -> tuple[int, ...]:
        """A square, of the image's shorter side where `size` is left out."""
        channels, height, width = example
        side = self.size or min(height, width)
        return channels, side, side

    def check(self) -> None:
        """Any image can be drawn from, and what RandAugment is told is told to RandAugment."""
        drawn = self.parameters(channels=3, size=32)
        for name in ("policy_operations", "policy_magnitude"):
            value = getattr(self, name)
            if value is not None and "randaugment" not in [each.policy for each in drawn]:
                raise SettingError(
                    f"views.{name} is {value}: it is RandAugment's, and views.policy is "
                    f"{drawn[0].policy}: set that to randaugment, or leave {name} out"
                )

    def parameters(
        self, channels: int, size: int | None = None
    ) -> tuple[ViewParameters, ViewParameters]:
        """The parameters of both views.

        Saturation, hue and grey have no meaning without red, green and blue: the preset's are set
        to 0 unless there are three channels. A policy's Color then does nothing.

        Args:
            channels: Of the images; 1 or more.
            size: Side of a view where the setting is left out.

        Raises:
            SettingError: A value is out of range, no size is known, or `grey` is asked of images
                without colour.
        """
        if channels < 1:
            raise SettingError(f"views of images with {channels} channels: needs 1 or more")
        side = size if self.size is None else self.size
        if side is None:
            raise SettingError("views.size is left out and the images' side is unknown: set it")
        known = {each.name for each in fields(ViewParameters)} - {"size"}
        given = {k: v for k, v in settings_of(self).items() if k in known and v is not None}
        if self.jitter_strength is not None:
            given |= jitter_of_strength(self.jitter_strength)
        first, second = (ViewParameters(size=side, **(each | given)) for each in self.preset)
        if channels == 3:
            return first, second
        if self.grey:
            raise SettingError(
                f"views.grey is {self.grey:g}: images of {channels} channels have none"
            )
        return _without_colour(first), _without_colour(second)


class SimCLRViewsSpec(ImageViewsSpec):
    """SimCLR's views (Chen et al. 2020)."""

    preset = _SIMCLR, _SIMCLR
    name: Literal["simclr"] = "simclr"


class MoCoV1ViewsSpec(ImageViewsSpec):
    """MoCo's first views (He et al. 2020)."""

    preset = _MOCO_V1, _MOCO_V1
    name: Literal["moco-v1"] = "moco-v1"


class MoCoV2ViewsSpec(ImageViewsSpec):
    """MoCo v2's views (Chen et al. 2020)."""

    preset = _MOCO_V2, _MOCO_V2
    name: Literal["moco-v2"] = "moco-v2"


class BYOLViewsSpec(ImageViewsSpec):
    """BYOL's views, of which the first is always blurred and the second solarised (Grill 2020)."""

    preset = _BYOL | {"blur": 1.0}, _BYOL | {"blur": 0.1, "solarize": 0.2}
    name: Literal["byol"] = "byol"


class PaCoViewsSpec(ImageViewsSpec):
    """PaCo's of CIFAR: AutoAugment and Cutout, and beside it MoCo v2's view (Cui et al. 2021)."""

    preset = _AUTOAUGMENT, _MOCO_V2
    name: Literal["paco"] = "paco"


class DigitsViewsSpec(ImageViewsSpec):
    """Views that leave a digit readable: large crops, small rotations, no flips."""

    preset = _DIGITS, _DIGITS
    name: Literal["digits"] = "digits"


class SeriesViewsSpec(ViewsSpec):
    """Views of series, in standard deviations of their channels."""

    target, takes = "nearfar.views.float_views:float_views", "series"
    name: Literal["series"] = "series"
    crop_length: tuple[float, float] = (0.5, 1.0)
    """Smallest and largest share of the steps that a crop keeps, stretched to all."""
    scaling: NotNegative = 0.2
    """Deviation about 1 of the normal factor on each channel."""
    noise: NotNegative = 0.1
    """Deviation of added normal noise, in deviations of the channel."""
    time_mask: Share = 0.2
    """Largest share of the steps, in one piece, that is set to the channels' means."""
    channel_drop: Share = 0.0
    """Probability that a channel is set to its mean; one always stays."""

    def check(self) -> None:
        """The crop can be drawn."""
        require_shares("views.crop_length", self.crop_length)

    def parameters(self) -> tuple[SeriesParameters, SeriesParameters]:
        """The parameters of both views."""
        settings = {k: v for k, v in settings_of(self).items() if k != "count"}
        either = SeriesParameters(**settings)
        return either, either


class VectorViewsSpec(ViewsSpec):
    """Views of vectors, in standard deviations of their features."""

    target, takes = "nearfar.views.float_views:float_views", "vectors"
    name: Literal["vectors"] = "vectors"
    corruption: Share = 0.3
    """Probability that a feature is taken from another vector of the batch."""
    mixup: Annotated[float, Ge(0), Le(0.5)] = 0.2
    """Largest weight of another vector that is mixed in; from a half on it would be the view."""
    noise: NotNegative = 0.1
    """Deviation of added normal noise, in deviations of the feature."""

    def parameters(self) -> tuple[VectorParameters, VectorParameters]:
        """The parameters of both views."""
        either = VectorParameters(self.corruption, self.mixup, self.noise)
        return either, either


class ScarfViewsSpec(ViewsSpec):
    """SCARF's: the vector as it is, and one with features of others (Bahri et al. 2022)."""

    target, takes = "nearfar.views.float_views:float_views", "vectors"
    name: Literal["scarf"] = "scarf"
    corruption: Share = 0.6
    """Probability that a feature of the second view is taken from another vector of the batch."""

    def parameters(self) -> tuple[VectorParameters, VectorParameters]:
        """The parameters of both views."""
        return VectorParameters(), VectorParameters(corruption=self.corruption)


class TextViewsSpec(ViewsSpec):
    """Views of texts: a run of words, some of them left out or masked."""

    target, takes = "nearfar.views.text_views:text_views", "texts"
    name: Literal["text"] = "text"
    crop_length: tuple[float, float] = (0.5, 1.0)
    """Smallest and largest share of the words, in one run, that a view keeps."""
    deletion: Share = 0.1
    """Probability that a word is left out; one always stays."""
    masking: Share = 0.0
    """Probability that one sign stands for a word."""

    def check(self) -> None:
        """The crop can be drawn."""
        require_shares("views.crop_length", self.crop_length)

    @property
    def draws(self) -> bool:
        """Whether anything is changed."""
        return bool(self.crop_length[0] < 1 or self.deletion or self.masking)

    def parameters(self) -> tuple[TextParameters, TextParameters]:
        """The parameters of both views."""
        either = TextParameters(self.crop_length, self.deletion, self.masking)
        return either, either


class SimCSEViewsSpec(ViewsSpec):
    """The text as it is: two passes differ by the encoder's dropout (Gao, Yao and Chen 2021)."""

    target, takes = "nearfar.views.text_views:text_views", "texts"
    name: Literal["simcse"] = "simcse"

    @property
    def draws(self) -> bool:
        """Nothing is changed."""
        return False

    def parameters(self) -> tuple[TextParameters, TextParameters]:
        """The parameters of both views."""
        return TextParameters(), TextParameters()


def in_current_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of views as they are written now, from those that version 0.1 wrote.

    It called the name `preset`, and named all settings of all kinds of views.
    """
    renamed = {"name" if key == "preset" else key: value for key, value in values.items()}
    name = str(renamed.setdefault("name", "simclr"))
    own = {each.name for each in fields(ViewsSpec.named(name))}
    return {
        key: value
        for key, value in renamed.items()
        if value is not None and (key in own or (key, value) != ("implementation", "fused"))
    }


def _without_colour(parameters: ViewParameters) -> ViewParameters:
    """The same parameters with the operations left out that need red, green and blue."""
    return replace(parameters, saturation=0.0, hue=0.0, grey=0.0)
