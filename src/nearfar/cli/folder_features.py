"""Features of every image of a folder, as `embed` and `neighbors` need them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.data.config import DataConfig
from nearfar.data.image_files import read_image
from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.encoders.saved import SavedEncoder
from nearfar.errors import SettingError
from nearfar.evaluation.features import extract_features
from nearfar.modality import in_words
from nearfar.training.hardware import choose_hardware


@dataclass(frozen=True)
class FolderFeatures:
    """A folder as vectors.

    Attributes:
        names: File of each image, relative to the folder.
        features: `(n, dim)` float32, in the order of the names.
        notes: What a person should know: files that were skipped.
    """

    names: list[str]
    features: Float[Tensor, "n dim"]
    notes: tuple[str, ...]


def folder_features(
    encoder: SavedEncoder, folder: Path, *, max_corrupt: float = 0.01, device: str = "auto"
) -> FolderFeatures:
    """Reads every image below a folder and encodes it.

    Args:
        encoder: A loaded encoder; moved to the device.
        folder: Images in it and in its sub-folders.
        max_corrupt: Largest share of unreadable images to skip.
        device: As `choose_hardware` takes it.

    Raises:
        SettingError: The encoder takes neither grey nor RGB images, or there is no such folder.
        NearfarError: There are no images, or too many of them are unreadable.
    """
    _check_takes_files(encoder)
    where = choose_hardware(device, "fp32").device
    config = DataConfig(
        name="folder",
        root=folder,
        channels=encoder.shape[0],
        image_size=encoder.shape[1],
        test_fraction=0.0,
        max_corrupt=max_corrupt,
    )
    source = load_source(config)
    parts = [part for part in (source.train, source.test, source.unlabelled) if part is not None]
    encoder = encoder.to(where)
    features = [
        extract_features(encoder, part, device=where, workers=config.workers) for part in parts
    ]
    names = [name for part in parts for name in part.names or ()]
    return FolderFeatures(names, torch.cat(features), source.notes)


def image_features(encoder: SavedEncoder, file: Path) -> Float[Tensor, "1 dim"]:
    """Reads one image file as `folder_features` reads those of a folder, and encodes it.

    Args:
        encoder: A loaded encoder, on the CPU.
        file: The image.

    Raises:
        SettingError: The encoder takes neither grey nor RGB images, or there is no such file.
        NearfarError: The file is no image.
    """
    _check_takes_files(encoder)
    if not file.is_file():
        raise SettingError(f"no such image: {file}")
    channels, side, _ = encoder.shape
    pixels = torch.tensor(read_image(file, (channels, side, side)))
    return extract_features(encoder, Part(pixels[None]))


def _check_takes_files(encoder: SavedEncoder) -> None:
    """Refuses encoders that no image file can feed."""
    if encoder.modality != "images" or encoder.shape[0] not in (1, 3):
        raise SettingError(
            f"this encoder takes {in_words(encoder.shape)}, and image files are read as grey (1) "
            "or RGB (3)"
        )
