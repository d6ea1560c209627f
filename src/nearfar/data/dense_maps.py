"""A depth map or a mask read from its file, and brought to the shape of its image."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float32, Int16, Num, Shaped
from numpy import ndarray
from torch import Tensor

from nearfar.data.file_reading import UnreadableFileError, shown
from nearfar.data.image_files import MOST_PIXELS, read_values
from nearfar.data.source import StreamedExamples
from nearfar.data.source_spec import Fit
from nearfar.errors import NearfarError, SettingError
from nearfar.npy_headers import declared_bytes, declared_in

_MOST_BYTES = 8 * MOST_PIXELS
_ALIKE = 0.02
"""Difference of proportions, as a share, up to which a map is of the same view as its image."""
NOT_JUDGED = -1
"""In masks, of pixels without a class."""


class UnreadableMapError(UnreadableFileError):
    """A map that is damaged, of another size than its image, or holds what no map does."""


@dataclass(frozen=True)
class MapReader:
    """How maps of one kind become numbers.

    Attributes:
        of: What they hold.
        scale: Depth of one stored unit; None where the files hold the depth itself.
        ignored: Number in a mask of pixels that are not judged; None: there is none such.
        classes: Classes of a mask, numbered from 0.
    """

    of: str
    scale: float | None = None
    ignored: int | None = None
    classes: int = 2**15

    def read(self, path: Path) -> Float32[ndarray, "h w"] | Int16[ndarray, "h w"]:
        """Depths, NaN where they are not known; or classes, −1 where pixels are not judged.

        Raises:
            UnreadableMapError: It is damaged, or holds what no map does.
            SettingError: It holds whole numbers as depths, and no scale is set.
        """
        values = _stored(path)
        return self._depths(values, path) if self.of == "depth" else self._classes(values, path)

    def _depths(self, values: Num[ndarray, "h w"], path: Path) -> Float32[ndarray, "h w"]:
        if values.dtype.kind in "iub" and self.scale is None:
            raise SettingError(
                f"{shown(path)} holds depths as whole numbers ({values.dtype}): say by "
                "--data.depth-scale how deep one unit is, as 0.001 for millimetres to be metres"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            depths = (values.astype(np.float64) * (self.scale or 1.0)).astype(np.float32)
        depths[~(np.isfinite(depths) & (depths > 0))] = np.nan
        return depths

    def _classes(self, values: Num[ndarray, "h w"], path: Path) -> Int16[ndarray, "h w"]:
        whole = np.isfinite(values).all() and np.array_equal(values, np.rint(values))
        if values.dtype.kind == "f" and not whole:
            raise UnreadableMapError(f"{shown(path)}: a mask of fractions, where classes are due")
        numbers = values.astype(np.int64)
        missing = numbers == (NOT_JUDGED if self.ignored is None else self.ignored)
        judged = numbers[~missing]
        if len(judged) and not 0 <= judged.min() <= judged.max() < self.classes:
            wrong = judged.min() if judged.min() < 0 else judged.max()
            raise UnreadableMapError(
                f"{shown(path)}: {wrong} in a mask of classes 0 to {self.classes - 1}; "
                "data.mask_classes says how many there are, data.ignored what is not judged"
            )
        numbers[missing] = NOT_JUDGED
        return numbers.astype(np.int16)

    def fitted(
        self, path: Path, image: tuple[int, int], side: tuple[int, int], fit: Fit
    ) -> Shaped[ndarray, "h w"]:
        """A map brought to the shape that its image is brought to.

        Args:
            path: Of the map.
            image: Height and width of its image, as the file has it.
            side: Height and width that it is brought to.
            fit: How the image is.

        Raises:
            UnreadableMapError: Also where it has other proportions than its image.
        """
        values = self.read(path)
        wide, wide_image = values.shape[1] / values.shape[0], image[1] / image[0]
        if abs(wide / wide_image - 1) > _ALIKE:
            raise UnreadableMapError(
                f"{shown(path)}: {values.shape[0]}×{values.shape[1]} pixels, where its image has "
                f"{image[0]}×{image[1]}"
            )
        missing = np.nan if self.of == "depth" else NOT_JUDGED
        return brought_to(values, side, fit, missing)


def brought_to(
    values: Shaped[ndarray, "h w"], side: tuple[int, int], fit: Fit, missing: float | int
) -> Shaped[ndarray, "height width"]:
    """A map at another height and width, as its image is brought there, by its nearest pixels.

    Nothing is averaged: the mean of two depths or of two classes may be that of no thing.

    Args:
        values: The map.
        side: Height and width.
        fit: `crop` cuts the centre, `squash` scales each side by itself, `pad` fills with
            `missing`.
        missing: What stands where there is nothing.
    """
    if values.shape == side:
        return values
    height, width = values.shape
    if fit == "squash":
        return values[_nearest(0.0, height, side[0])][:, _nearest(0.0, width, side[1])]
    if fit == "crop":
        scale = min(height / side[0], width / side[1])
        tall, wide = scale * side[0], scale * side[1]
        rows = _nearest((height - tall) / 2, tall, side[0])
        return values[rows][:, _nearest((width - wide) / 2, wide, side[1])]
    scale = min(side[0] / height, side[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    ground = np.full(side, missing, values.dtype)
    top, left = (side[0] - inner[0]) // 2, (side[1] - inner[1]) // 2
    ground[top : top + inner[0], left : left + inner[1]] = brought_to(
        values, inner, "squash", missing
    )
    return ground


def _nearest(first: float, length: float | int, count: int) -> ndarray:
    """Places of as many pixels, evenly spread over a stretch of others."""
    return np.floor(first + (np.arange(count) + 0.5) * length / count).astype(np.int64)


def _stored(path: Path) -> Num[ndarray, "h w"]:
    """The numbers of a file as they are."""
    if path.suffix.lower() not in (".npy", ".npz"):
        return read_values(path)
    try:
        values = _array_of(path)
    except UnreadableMapError:
        raise
    except NearfarError as error:
        raise UnreadableMapError(f"{shown(path)}: {error}") from None
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error):
        raise UnreadableMapError(f"{shown(path)}: no readable NumPy array") from None
    values = values.squeeze()
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "biuf":
        raise UnreadableMapError(
            f"{shown(path)}: an array of shape {values.shape}, {values.dtype}, where numbers of "
            "(height, width) are due"
        )
    return values


def _array_of(path: Path) -> ndarray:
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            _require_sane(declared_bytes(file, path.name), path)
        return np.load(path, allow_pickle=False)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise UnreadableMapError(
                f"{shown(path)}: {len(names)} arrays, where one is due: which is the map cannot be "
                "told"
            )
        _require_sane(declared_in(archive, names[0]), path)
    with np.load(path, allow_pickle=False) as arrays:
        return cast(ndarray, arrays[arrays.files[0]])


def _require_sane(declared: int, path: Path) -> None:
    if declared > _MOST_BYTES:
        raise UnreadableMapError(
            f"{shown(path)}: {declared / 2**20:.0f} MiB, over {_MOST_BYTES / 2**20:.0f}: refused"
        )


class StreamedMaps(StreamedExamples):
    """Maps on disk, each read when asked for and brought to the shape of its image.

    Args:
        files: Of the maps.
        images: Height and width of the image of each.
        side: Height and width that they are brought to.
        fit: How.
        reader: What they hold.
    """

    def __init__(
        self,
        files: Sequence[Path],
        images: Sequence[tuple[int, int]],
        side: tuple[int, int],
        fit: Fit,
        reader: MapReader,
    ) -> None:
        self.files = [str(path) for path in files]
        self.images = list(images)
        self.shape = side
        self.fit: Fit = fit
        self.reader = reader

    def __len__(self) -> int:
        """The number of maps."""
        return len(self.files)

    def __getitem__(self, index: int) -> Shaped[Tensor, "h w"]:
        """One map.

        Raises:
            UnreadableMapError: The file is damaged or gone.
        """
        path, side = Path(self.files[index]), (self.shape[0], self.shape[1])
        return torch.from_numpy(self.reader.fitted(path, self.images[index], side, self.fit).copy())
