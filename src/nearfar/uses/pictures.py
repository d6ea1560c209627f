"""Pictures of the examples that features are of."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nearfar.data.image_files import UnreadableImageError, pillow_quiet, read_image
from nearfar.data.source import Part
from nearfar.errors import NearfarError
from nearfar.evaluation.pictures import PICTURED, thumbnails
from nearfar.report.pictures import line_plot
from nearfar.uses.examples import file_of, folder_of, parts_of
from nearfar.uses.features_file import Features

_SIDE = 96


def pictures_of(
    features: Features, rows: Iterable[int], folder: Path | None = None
) -> tuple[dict[int, np.ndarray], list[str]]:
    """Pictures of some rows, as far as the examples are still where they were.

    Args:
        features: As `load_features` gives them.
        rows: Which; one that comes twice is read once.
        folder: Where the files lie now; None looks where they lay.

    Returns:
        By row `(height, width, channels)` uint8, of series a plot; and notes on what is missing.
    """
    wanted = sorted(set(rows))
    if features.about is not None and features.about.modality not in PICTURED:
        return {}, []
    place = folder_of(features, folder)
    try:
        if place is not None:
            found = _from_files(features, wanted, place)
        else:
            found = {
                row: picture
                for part, held in parts_of(features, wanted)
                for row, picture in zip(held, _drawn(part), strict=True)
            }
    except (NearfarError, OSError) as error:
        return {}, [f"no pictures: {error}"]
    if len(found) == len(wanted):
        return found, []
    lost = len(wanted) - len(found)
    return found, [f"no picture of {lost} of {len(wanted)} examples (--pictures FOLDER)"]


def picture_of_file(path: Path) -> np.ndarray | None:
    """The picture in a file, `(height, width, 3)` uint8; None where it cannot be read."""
    try:
        with pillow_quiet():
            return read_image(path, (3, _SIDE, _SIDE), "pad").transpose(1, 2, 0)
    except UnreadableImageError:
        return None


def _from_files(features: Features, rows: list[int], place: Path) -> dict[int, np.ndarray]:
    found = {}
    for row in rows:
        file = file_of(place, features.names[row])
        pixels = None if file is None else picture_of_file(file)
        if pixels is not None:
            found[row] = pixels
    return found


def _drawn(part: Part) -> np.ndarray:
    """Thumbnails of images, plots of series."""
    if part.modality not in PICTURED:
        return np.zeros((len(part), 1, 1, 1), dtype=np.uint8)
    held = thumbnails(part)
    if held.ndim == 4:
        return held
    lowest, highest = np.percentile(held, (0.5, 99.5), axis=(0, 2))
    return np.stack([line_plot(each, lowest, highest) for each in held])
