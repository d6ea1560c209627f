"""Features of every image of a folder, as `embed` and `neighbors` need them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.data.folder import load_all_images
from nearfar.data.image_files import pillow_quiet, read_image
from nearfar.data.source import Part
from nearfar.data.source_spec import Fit, ImageFilesSpec
from nearfar.data.specs import FolderSpec
from nearfar.encoders.saved import SavedEncoder
from nearfar.errors import SettingError
from nearfar.evaluation.features import extract_features
from nearfar.modality import in_words
from nearfar.recipes.config_json import read_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.training.hardware import choose_hardware
from nearfar.training.thread_choice import ThreadChoice


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
    encoder: SavedEncoder,
    folder: Path,
    *,
    fit: Fit = "squash",
    max_corrupt: float = 0.01,
    device: str = "auto",
) -> FolderFeatures:
    """Reads every image below a folder and encodes it.

    Args:
        encoder: A loaded encoder; moved to the device.
        folder: Images in it and in its sub-folders, however they are laid out.
        fit: How images become squares, as `read_image` takes it.
        max_corrupt: Largest share of unreadable images to skip.
        device: As `choose_hardware` takes it.

    Raises:
        SettingError: The encoder takes neither grey nor RGB images, or there is no such folder.
        NearfarError: There are no images, or too many of them are unreadable.
    """
    _check_takes_files(encoder)
    where = choose_hardware(device, "fp32").device
    config = FolderSpec(
        root=folder.expanduser(),
        channels=1 if encoder.shape[0] == 1 else 3,
        image_size=encoder.shape[1],
        fit=fit,
        max_corrupt=max_corrupt,
    )
    config.require_root()
    source = load_all_images(config)
    encoder = encoder.to(where)
    said: list[str] = []
    with ThreadChoice(where, say=said.append) as threads:
        features = extract_features(
            encoder, source.train, device=where, workers=config.readers, threads=threads
        )
    return FolderFeatures(list(source.train.names or ()), features, (*source.notes, *said))


def fit_for(encoder: Path, asked: Fit | None) -> Fit:
    """How images become squares for an encoder: as asked, or as it learnt, but whole.

    Args:
        encoder: Run folder, or the encoder's file in it.
        asked: What a person chose, or None.

    Returns:
        What was asked; else `pad` where the run learnt so, and otherwise `squash`.

    Raises:
        NearfarError: The run's settings are damaged.
    """
    if asked is not None:
        return asked
    run = RunFolder(encoder if encoder.is_dir() else encoder.parent)
    if not run.config.exists():
        return "squash"
    data = read_recipe(run.path).data
    learnt = data.fit if isinstance(data, ImageFilesSpec) else "crop"
    return "squash" if learnt == "crop" else learnt


def image_features(
    encoder: SavedEncoder, file: Path, *, fit: Fit = "squash"
) -> Float[Tensor, "1 dim"]:
    """Reads one image file as `folder_features` reads those of a folder, and encodes it.

    Args:
        encoder: A loaded encoder, on the CPU.
        file: The image.
        fit: How it becomes a square, as `read_image` takes it.

    Raises:
        SettingError: The encoder takes neither grey nor RGB images, or there is no such file.
        NearfarError: The file is no image.
    """
    _check_takes_files(encoder)
    if not file.is_file():
        raise SettingError(f"no such image: {file}")
    channels, side, _ = encoder.shape
    with pillow_quiet():
        pixels = torch.tensor(read_image(file, (channels, side, side), fit))
    return extract_features(encoder, Part(pixels[None]))


def _check_takes_files(encoder: SavedEncoder) -> None:
    if encoder.modality != "images" or encoder.shape[0] not in (1, 3):
        raise SettingError(
            f"this encoder takes {in_words(encoder.modality, encoder.shape)}, and image files are "
            "read as grey (1) or RGB (3)"
        )
