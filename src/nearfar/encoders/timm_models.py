"""Backbones of timm, as features of images of any number of channels."""

from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from nearfar.encoders.specs import TIMM_PREFIX, TimmSpec
from nearfar.errors import SettingError


def build_timm(spec: TimmSpec, *, channels: int, image_size: int) -> nn.Module:
    """Timm's model without classifier, tried on one image so that a misfit shows here.

    Raises:
        SettingError: It does not take such images, gives no vector, or has another stem.
    """
    name = spec.name.removeprefix(TIMM_PREFIX)
    settings = get_pretrained_cfg(name)
    # Models with positions per patch must know the size; others do not take the argument.
    fixed_size = settings is not None and settings.fixed_input_size
    sized: dict[str, Any] = {"img_size": image_size} if fixed_size else {}
    try:
        model = timm.create_model(name, num_classes=0, in_chans=channels, **sized)
        if spec.stem == "small":
            _give_small_stem(model, spec.name, channels)
        with torch.no_grad():
            features = model.eval()(torch.zeros(1, channels, image_size, image_size))
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as e:
        reason = " ".join(str(e).split()) or type(e).__name__
        raise SettingError(
            f"{spec.name} does not take images of {channels} × {image_size} × {image_size}:"
            f" {reason}"
        ) from e
    if not torch.is_tensor(features) or features.ndim != 2:
        raise SettingError(f"{spec.name} gives no single feature vector an image: choose another")
    # Some models widen after pooling, and their own num_features is the width before.
    setattr(model, "num_features", features.shape[1])  # noqa: B010  timm declares no type for it
    return model.train()


def _give_small_stem(model: nn.Module, name: str, channels: int) -> None:
    """Replace the 7×7 stride-2 convolution by a 3×3 of stride 1 and drop the max-pool."""
    first = getattr(model, "conv1", None)
    if not isinstance(first, nn.Conv2d) or not isinstance(model.maxpool, nn.MaxPool2d):
        raise SettingError(
            f"encoder.stem small needs one 7×7 convolution and a max-pool to replace, and {name}"
            " begins otherwise: choose a plain one, such as timm/resnet18"
        )
    model.conv1 = nn.Conv2d(channels, first.out_channels, 3, 1, padding=1, bias=False)
    model.maxpool = nn.Identity()
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
