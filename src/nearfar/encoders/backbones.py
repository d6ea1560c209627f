"""Backbones by name: the own ones and every model of timm, untrained.

Checking a name reads timm's source files without importing them, so a misspelt one is refused at
once; torch and timm load when a backbone is built.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.bounds import check_range
from nearfar.encoders.config import EncoderConfig
from nearfar.errors import SettingError, unknown_name
from nearfar.modality import Modality, in_words, modality_of

if TYPE_CHECKING:
    from torch import nn

OWN_BACKBONES: dict[str, Modality] = {
    "small-resnet": "images",
    "cifar-resnet20": "images",
    "cifar-resnet32": "images",
    "small-alexnet": "images",
    "patch-gru": "images",
    "series-resnet": "series",
    "series-gru": "series",
    "mlp": "vectors",
}
CIFAR_BLOCKS = {"cifar-resnet20": 3, "cifar-resnet32": 5}
"""Residual blocks of a stage."""
PATCH_BACKBONE = "patch-gru"
"""The one whose steps are rows of patches."""
STEP_BACKBONES = ("series-gru", PATCH_BACKBONE)
"""Those that give a vector for each step, which CPC asks for: `nearfar.encoders.steps`."""
TIMM_PREFIX = "timm/"
_WIDEST, _DEEPEST = 2**16, 1000


def backbone_names() -> list[str]:
    """Every valid `encoder.name`: the own backbones first, then timm's, each in order."""
    return [*OWN_BACKBONES, *sorted(TIMM_PREFIX + name for name in _timm_models())]


def check_encoder(config: EncoderConfig) -> None:
    """Refuse a setting that cannot be built, without building anything or loading torch.

    Raises:
        SettingError: Unknown backbone (with the nearest name), small stem on a backbone that is no
            timm ResNet, a width or depth below 1, or one given to a backbone that has its own.
    """
    check_range("encoder.width", config.width, 1, _WIDEST)
    check_range("encoder.depth", config.depth, 1, _DEEPEST)
    if config.depth != EncoderConfig.depth and config.name != "mlp":
        raise SettingError(f"encoder.depth is for mlp: {config.name} has its own depth")
    if config.name in OWN_BACKBONES:
        return
    models = _timm_models()
    model = config.name.removeprefix(TIMM_PREFIX)
    if not config.name.startswith(TIMM_PREFIX) or model not in models:
        raise unknown_name("backbone", config.name, backbone_names())
    if config.stem == "small" and models[model] != "resnet":
        raise SettingError(
            f"encoder.stem small fits timm's ResNets, such as timm/resnet18, and not {config.name}"
        )
    if config.width != EncoderConfig.width:
        raise SettingError(f"encoder.width is for own backbones: {config.name} has its own width")


def encoder_modality(config: EncoderConfig) -> Modality:
    """What the backbone takes."""
    return OWN_BACKBONES.get(config.name, "images")


def encoder_for(config: EncoderConfig, shape: tuple[int, ...]) -> nn.Module:
    """An untrained backbone for examples of any kind, from torch's global generator.

    Args:
        config: Name, stem, width and depth.
        shape: Of one example: `(channels, size, size)`, `(channels, steps)` or `(features,)`.

    Returns:
        A module with `num_features` that turns normalised examples `(batch, *shape)` into features
        `(batch, num_features)`.

    Raises:
        SettingError: What `check_encoder` refuses, or a backbone that does not take such examples.
    """
    check_encoder(config)
    modality = modality_of(shape)
    if encoder_modality(config) != modality:
        fitting = ", ".join(name for name, takes in OWN_BACKBONES.items() if takes == modality)
        raise SettingError(
            f"encoder.name {config.name} takes {encoder_modality(config)}, and not "
            f"{in_words(shape)}: choose {fitting}"
        )
    if modality == "images":
        return build_encoder(config, channels=shape[0], image_size=shape[1])
    if config.name == "series-gru":
        from nearfar.encoders.series_gru import SeriesGRU

        return SeriesGRU(channels=shape[0], width=config.width, steps=shape[1])
    if modality == "series":
        from nearfar.encoders.series_resnet import SeriesResNet

        return SeriesResNet(channels=shape[0], width=config.width, steps=shape[1])
    from nearfar.encoders.mlp import MLP

    return MLP(features=shape[0], width=config.width, depth=config.depth)


def build_encoder(config: EncoderConfig, *, channels: int, image_size: int) -> nn.Module:
    """An untrained backbone for images, from torch's global generator.

    Args:
        config: Name, stem and width.
        channels: Channels of the images, 1 or more.
        image_size: Side of the images, in pixels.

    Returns:
        A module with `num_features` that turns normalised images `(batch, channels, image_size,
        image_size)` into features `(batch, num_features)`. For a timm name it is timm's own model
        without its classifier.

    Raises:
        SettingError: What `check_encoder` refuses, or a model that does not take such images.
    """
    check_encoder(config)
    if config.name == "small-resnet":
        from nearfar.encoders.small_resnet import SmallResNet

        return SmallResNet(channels=channels, width=config.width, image_size=image_size)
    if config.name == "small-alexnet":
        from nearfar.encoders.small_alexnet import SmallAlexNet

        return SmallAlexNet(channels=channels, width=config.width, image_size=image_size)
    if config.name == "patch-gru":
        from nearfar.encoders.patch_gru import PatchGRU

        return PatchGRU(channels=channels, width=config.width, image_size=image_size)
    if config.name in CIFAR_BLOCKS:
        from nearfar.encoders.cifar_resnet import CIFARResNet

        blocks = CIFAR_BLOCKS[config.name]
        return CIFARResNet(channels=channels, width=config.width, blocks=blocks)
    return _build_timm(config, channels=channels, image_size=image_size)


@cache
def _timm_models() -> dict[str, str]:
    """Name of each of timm's models and of the file that defines it, without importing timm."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    models: dict[str, str] = {}
    for file in (Path(spec.submodule_search_locations[0]) / "models").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for name in re.findall(r"^@register_model\s*\ndef (\w+)\(", source, re.MULTILINE):
            models[name] = file.stem
    return models


def _build_timm(config: EncoderConfig, *, channels: int, image_size: int) -> nn.Module:
    """Timm's model without classifier, tried on one image so that a misfit shows here."""
    import timm
    import torch
    from timm.models import get_pretrained_cfg

    name = config.name.removeprefix(TIMM_PREFIX)
    settings = get_pretrained_cfg(name)
    # Models with positions per patch must know the size; others do not take the argument.
    fixed_size = settings is not None and settings.fixed_input_size
    sized: dict[str, Any] = {"img_size": image_size} if fixed_size else {}
    try:
        model = timm.create_model(name, num_classes=0, in_chans=channels, **sized)
        if config.stem == "small":
            _give_small_stem(model, config.name, channels)
        with torch.no_grad():
            features = model.eval()(torch.zeros(1, channels, image_size, image_size))
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as e:
        reason = " ".join(str(e).split()) or type(e).__name__
        raise SettingError(
            f"{config.name} does not take images of {channels} × {image_size} × {image_size}:"
            f" {reason}"
        ) from e
    if not torch.is_tensor(features) or features.ndim != 2:
        raise SettingError(f"{config.name} gives no single feature vector an image: choose another")
    # Some models widen after pooling, and their own num_features is the width before.
    setattr(model, "num_features", features.shape[1])  # noqa: B010  timm declares no type for it
    return model.train()


def _give_small_stem(model: nn.Module, name: str, channels: int) -> None:
    """Replace the 7×7 stride-2 convolution by a 3×3 of stride 1 and drop the max-pool."""
    from torch import nn

    first = getattr(model, "conv1", None)
    if not isinstance(first, nn.Conv2d) or not isinstance(model.maxpool, nn.MaxPool2d):
        raise SettingError(
            f"encoder.stem small needs one 7×7 convolution and a max-pool to replace, and {name}"
            " begins otherwise: choose a plain one, such as timm/resnet18"
        )
    model.conv1 = nn.Conv2d(channels, first.out_channels, 3, 1, padding=1, bias=False)
    model.maxpool = nn.Identity()
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
