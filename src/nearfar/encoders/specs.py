"""Every backbone: its settings, what it takes and what it gives. Imports no torch."""

import re
from collections.abc import Mapping
from dataclasses import field, fields, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from nearfar.errors import SettingError, unknown_name
from nearfar.modality import ForExamples
from nearfar.paths import user_path
from nearfar.plugins import imported

if TYPE_CHECKING:
    from torch import Tensor, nn

Width = Annotated[int, Ge(1), Le(2**16)]
Dropout = Annotated[float, Ge(0), Lt(1)]


PRETRAINED = "pretrained"
"""The start that is timm's own weights; `pretrained:TAG` those of a tag."""
RANDOM = "random"
"""Weights that nothing has trained, where they must be asked for by name."""
_ELSEWHERE = ("hf-hub:", "hf_hub:", "local-dir:", "http:", "https:", "file:")


class EncoderSpec(
    ForExamples,
    noun="backbone",
    modules=("nearfar.encoders.text_specs", "nearfar.encoders.huggingface_specs"),
):
    """A backbone with random weights, or with those of a start.

    Attributes:
        gives_steps: It gives a vector for each step, which CPC asks for (`step_encoders.py`).
        cuts_patches: Its steps are rows of patches of an image.
        pretrained_by: "module:function" that gives its own weights, as `read_start` does, where
            `start` is pretrained and they are not timm's.
        name: Which backbone: one of ours, or timm/NAME for any of timm's.
    """

    room: ClassVar[str] = "encoder."
    gives_steps: ClassVar[bool] = False
    cuts_patches: ClassVar[bool] = False
    pretrained_by: ClassVar[str] = ""

    start: str | None = field(default=None, kw_only=True)
    """Weights to begin with: pretrained (timm's own), a run, or a .safetensors or torch file."""

    def check(self) -> None:
        """A start is timm's own for a model of timm's, or a path; nothing is fetched otherwise."""
        if self.start is None:
            return
        refuse_elsewhere("encoder.start", self.start)
        if self.gets_pretrained:
            raise SettingError(
                f"encoder.start {self.start}: timm's weights are for timm's models, and "
                f"{self.name} is none: choose --encoder timm/resnet18 or another"
            )

    @property
    def draws(self) -> bool:
        """Whether two passes of one example differ in training, as by dropout."""
        return False

    @property
    def learnt(self) -> tuple[str, ...]:
        """Names of the backbone's buffers that `learn` gives: what no step trains."""
        return ()

    def learn(self, examples: "Tensor") -> "dict[str, Tensor]":  # noqa: ARG002  most learn nothing
        """What the backbone learns of the examples before the first step, such as a tokeniser.

        Args:
            examples: All that it is trained on.

        Returns:
            Values of the buffers that `learnt` names.
        """
        return {}

    @property
    def gets_pretrained(self) -> bool:
        """Whether it begins with timm's own weights."""
        return self.start is not None and gets_pretrained(self.start)

    def with_absolute_start(self) -> "EncoderSpec":
        """The same, its start named by a path that holds in every working folder."""
        if self.start is None or self.gets_pretrained:
            return self
        return replace(self, start=str(user_path(self.start).absolute()))

    @classmethod
    def named(cls, name: str) -> "type[EncoderSpec]":
        """The backbone of a name; those of timm are `timm/NAME`."""
        if name.startswith(TIMM_PREFIX) and name.removeprefix(TIMM_PREFIX) in timm_models():
            return TimmSpec
        if name not in cls.known():
            raise unknown_name("backbone", name, backbone_names())
        return cls.choices[name]

    def build(self, shape: tuple[int, ...]) -> "nn.Module":
        """The backbone for examples of a shape, its weights from torch's global generator.

        Args:
            shape: Of one example: `(channels, size, size)`, `(channels, steps)` or `(features,)`.

        Returns:
            A module with `num_features` that turns normalised examples `(batch, *shape)` into
            features `(batch, num_features)`.

        Raises:
            SettingError: No example that it takes has such a shape.
        """
        # Here, because this module imports no torch.
        from nearfar.encoders.small_maps import small_maps_as_products

        self.require_sides(shape)
        return small_maps_as_products(imported(self.target)(**self.arguments(shape)))

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """What the target is called with."""
        raise NotImplementedError


class OwnImageEncoderSpec(EncoderSpec):
    """What our backbones for images share."""

    width: Width = 32
    """Channels of a ResNet's first stage, which each later one doubles, or of an AlexNet's first
    layer; a quarter of a GRU's units."""

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Channels, width and side."""
        return {"channels": shape[0], "width": self.width, "image_size": shape[1]}


class SmallResNetSpec(OwnImageEncoderSpec):
    """A small ResNet for images of 8 to 32 px."""

    target = "nearfar.encoders.resnets:SmallResNet"
    name: Literal["small-resnet"] = "small-resnet"


class CIFARResNetSpec(OwnImageEncoderSpec):
    """The ResNets of He et al. (2016) for images of 32 px.

    Attributes:
        blocks: Residual blocks of a stage.
    """

    target = "nearfar.encoders.resnets:CIFARResNet"
    blocks: ClassVar[int]

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Channels, width, and the residual blocks of a stage."""
        return {"channels": shape[0], "width": self.width, "blocks": self.blocks}


class CIFARResNet20Spec(CIFARResNetSpec):
    """ResNet-20 for images of 32 px (He et al. 2016)."""

    blocks = 3
    name: Literal["cifar-resnet20"] = "cifar-resnet20"


class CIFARResNet32Spec(CIFARResNetSpec):
    """ResNet-32 for images of 32 px (He et al. 2016)."""

    blocks = 5
    name: Literal["cifar-resnet32"] = "cifar-resnet32"


class SmallAlexNetSpec(OwnImageEncoderSpec):
    """The small AlexNet of Wang and Isola (2020), for images of 64 px."""

    target = "nearfar.encoders.small_alexnet:SmallAlexNet"
    name: Literal["small-alexnet"] = "small-alexnet"


class PatchGRUSpec(OwnImageEncoderSpec):
    """Patches of an image, and a GRU down their rows, for CPC."""

    target = "nearfar.encoders.step_encoders:PatchGRU"
    gives_steps, cuts_patches = True, True
    name: Literal["patch-gru"] = "patch-gru"


class TimmSpec(EncoderSpec):
    """Any model of timm, without its classifier."""

    target = "nearfar.encoders.timm_models:build_timm"
    name: str = "timm/resnet18"
    """Which backbone: timm/NAME, or one of ours."""
    stem: Literal["standard", "small"] = "standard"
    """small: 3×3 first convolution of stride 1, no max-pool; for ResNets on small images."""

    def check(self) -> None:
        """A start is one that there can be; a small stem is for timm's ResNets."""
        if not self.gets_pretrained:
            super().check()
        file = timm_models()[self.name.removeprefix(TIMM_PREFIX)]
        if self.stem == "small" and file != "resnet":
            raise SettingError(
                f"encoder.stem small fits timm's ResNets, such as timm/resnet18, and not "
                f"{self.name}"
            )

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The spec itself, channels and side."""
        return {"spec": self, "channels": shape[0], "image_size": shape[1]}


class SeriesEncoderSpec(EncoderSpec):
    """What our backbones for series share."""

    takes = "series"
    width: Width = 32
    """Channels of a ResNet's first stage, which each later one doubles; a quarter of a GRU's
    units."""

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Channels, width and steps."""
        return {"channels": shape[0], "width": self.width, "steps": shape[1]}


class SeriesResNetSpec(SeriesEncoderSpec):
    """A ResNet along time."""

    target = "nearfar.encoders.resnets:SeriesResNet"
    name: Literal["series-resnet"] = "series-resnet"


class SeriesGRUSpec(SeriesEncoderSpec):
    """Strided convolutions and a GRU along time, for CPC."""

    target, gives_steps = "nearfar.encoders.step_encoders:SeriesGRU", True
    name: Literal["series-gru"] = "series-gru"


class MLPSpec(EncoderSpec):
    """Layers of units for vectors."""

    target = "nearfar.encoders.mlp:MLP"
    takes = "vectors"
    name: Literal["mlp"] = "mlp"
    width: Width = 32
    """Units of a layer."""
    depth: Annotated[int, Ge(1), Le(1000)] = 2
    """Layers."""

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Features, width and depth."""
        return {"features": shape[0], "width": self.width, "depth": self.depth}


def gets_pretrained(named: str) -> bool:
    """Whether a name of weights is that of timm's own, with a tag or without."""
    return named.partition(":")[0] == PRETRAINED


def refuse_elsewhere(setting: str, named: str) -> None:
    """Refuse a name of weights that would be fetched from anywhere but timm's own places."""
    if named.startswith(_ELSEWHERE):
        raise SettingError(
            f"{setting} {named}: nearfar fetches timm's own weights alone: download the file of "
            "weights yourself, and give its path"
        )


def in_current_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an encoder as they are written now, from those that version 0.1 wrote.

    It named stem, width and depth for every backbone, those that the backbone has not at their
    defaults.
    """
    foreign = {"stem": "standard", "width": 32, "depth": 2}
    name = str(values.get("name", "small-resnet"))
    own = {each.name for each in fields(EncoderSpec.named(name))}
    return {
        key: value
        for key, value in values.items()
        if key in own or key not in foreign or value != foreign[key]
    }


def backbone_names() -> list[str]:
    """Every valid `encoder.name`: our backbones first, then timm's, each in order."""
    timm = sorted(TIMM_PREFIX + name for name in timm_models())
    return list(dict.fromkeys([*EncoderSpec.known(), *timm]))


TIMM_PREFIX = "timm/"


@cache
def timm_models() -> dict[str, str]:
    """Name of each of timm's models and of the file that defines it."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    models: dict[str, str] = {}
    for file in (Path(spec.submodule_search_locations[0]) / "models").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for name in re.findall(r"^@register_model\s*\ndef (\w+)\(", source, re.MULTILINE):
            models[name] = file.stem
    return models
