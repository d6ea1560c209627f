"""A trained encoder on disk: weights in safetensors, and in JSON how to build what they fill.

For a timm backbone the weights carry timm's own names, so that they load into timm's model:

    model = timm.create_model("resnet18", num_classes=0, in_chans=3)
    model.load_state_dict(safetensors.torch.load_file("encoder.safetensors"), strict=True)

With the small stem, give the model the same stem before loading:

    model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float, UInt8
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.durable_files import write_durably
from nearfar.encoders.backbones import build_encoder
from nearfar.encoders.config import EncoderConfig
from nearfar.errors import NearfarError

WEIGHTS_FILE = "encoder.safetensors"
DESCRIPTION_FILE = "encoder.json"


@dataclass(frozen=True)
class EncoderDescription:
    """What `encoder.json` holds.

    Attributes:
        encoder: Backbone, stem and width.
        channels: Channels of the images.
        image_size: Side in pixels that images are brought to.
        mean: Mean of each channel, in 0..1 units, that normalises the images.
        std: Standard deviation of each channel, likewise.
        num_features: Width of the features.
        weights_sha256: Of the weights' file, so that damage shows and no two runs' files mix.
    """

    encoder: EncoderConfig
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_features: int
    weights_sha256: str


_DESCRIPTION = TypeAdapter(EncoderDescription)


class SavedEncoder(nn.Module):
    """A trained backbone that takes images as they are, in eval mode.

    Attributes:
        backbone: The network itself, on normalised images; for a timm name, timm's own model.
        config: Backbone, stem and width.
        channels: Channels of the images.
        image_size: Side in pixels that images are brought to.
        num_features: Width of the features.
        mean: Mean of each channel, in 0..1 units; `std` likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, description: EncoderDescription) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = description.encoder
        self.channels = description.channels
        self.image_size = description.image_size
        self.num_features = description.num_features
        self.register_buffer("mean", torch.tensor(description.mean), persistent=False)
        self.register_buffer("std", torch.tensor(description.std), persistent=False)
        self.eval()

    def forward(
        self, images: UInt8[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Features of images, 0 to 255, of any size.

        Another size is brought to `image_size`: short side to it, then the centre square.

        Raises:
            NearfarError: The images have another number of channels.
        """
        if images.shape[1] != self.channels:
            raise NearfarError(
                f"this encoder takes images of {self.channels} channels, not {images.shape[1]}"
            )
        scaled = _centre_square(images.float() / 255, self.image_size)
        return self.backbone((scaled - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1))


def save_encoder(
    folder: Path,
    encoder: nn.Module,
    config: EncoderConfig,
    *,
    channels: int,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    """Write `encoder.safetensors` and `encoder.json` into a folder, each whole or not at all.

    Args:
        folder: Where; made if missing.
        encoder: What `build_encoder(config, …)` gave, trained.
        config: What it was built from.
        channels: Channels of the images.
        image_size: Side of the images it was trained on, in pixels.
        mean: Mean of each channel, in 0..1 units, with which they were normalised.
        std: Standard deviation of each channel, likewise.
    """
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()
    }
    data = save(weights)
    description = EncoderDescription(
        encoder=config,
        channels=channels,
        image_size=image_size,
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        num_features=cast(int, encoder.num_features),
        weights_sha256=hashlib.sha256(data).hexdigest(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / WEIGHTS_FILE, data)
    write_durably(folder / DESCRIPTION_FILE, _DESCRIPTION.dump_json(description, indent=2) + b"\n")


def load_encoder(path: Path | str) -> SavedEncoder:
    """A trained encoder, ready for images, on the CPU and in eval mode.

    Args:
        path: A run's folder, or its `encoder.safetensors` or `encoder.json`.

    Raises:
        NearfarError: A file is missing or damaged, or the weights do not fit the description.
    """
    path = Path(path)
    folder = path.parent if path.name in (WEIGHTS_FILE, DESCRIPTION_FILE) else path
    description = _read_description(folder / DESCRIPTION_FILE)
    weights = _read_weights(folder / WEIGHTS_FILE, description.weights_sha256)
    backbone = build_encoder(
        description.encoder, channels=description.channels, image_size=description.image_size
    )
    try:
        backbone.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise NearfarError(
            f"{folder / WEIGHTS_FILE} does not fit {DESCRIPTION_FILE} beside it:"
            f" {' '.join(str(error).split())}"
        ) from error
    return SavedEncoder(backbone, description)


def _centre_square(
    images: Float[Tensor, "batch channels height width"], size: int
) -> Float[Tensor, "batch channels size size"]:
    """Short side scaled to size, then the square in the middle."""
    height, width = images.shape[-2:]
    if (height, width) == (size, size):
        return images
    short = min(height, width)
    tall, wide = round(height * size / short), round(width * size / short)
    scaled = F.interpolate(images, (tall, wide), mode="bilinear", antialias=True)
    top, left = (tall - size) // 2, (wide - size) // 2
    return scaled[..., top : top + size, left : left + size]


def _read_description(file: Path) -> EncoderDescription:
    """`encoder.json`, checked."""
    try:
        description = _DESCRIPTION.validate_json(_read(file), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise NearfarError(f"{file} is damaged: {where}: {first['msg']}") from error
    if not len(description.mean) == len(description.std) == description.channels:
        raise NearfarError(
            f"{file} is damaged: mean and std must have one value for each of the"
            f" {description.channels} channels"
        )
    return description


def _read_weights(file: Path, sha256: str) -> dict[str, Tensor]:
    """The weights, if they are the very ones that were written."""
    data = _read(file)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NearfarError(
            f"{file} is damaged or of another run: its checksum is not the one in"
            f" {DESCRIPTION_FILE}; train again or copy both files again"
        )
    try:
        return load(data)
    except SafetensorError as error:
        raise NearfarError(f"{file} is no safetensors file: {error}") from error


def _read(file: Path) -> bytes:
    """A file's content, or one line on why not."""
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise NearfarError(
            f"no trained encoder in {file.parent}: there is no {file.name}; a run writes it"
            f" when its training ends (an unfinished one: nearfar train --resume {file.parent})"
        ) from error
    except OSError as error:
        raise NearfarError(f"cannot read {file}: {error.strerror}") from error
