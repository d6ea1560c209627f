"""Pictures of the examples that features are of."""

from collections.abc import Iterable, Sequence
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

Sight = np.ndarray | str
"""A picture, or the words of a text."""


def pictures_of(
    features: Features, rows: Iterable[int], folder: Path | None = None
) -> tuple[dict[int, Sight], list[str]]:
    """Pictures of some rows, as far as the examples are still where they were.

    Args:
        features: As `load_features` gives them.
        rows: Which; one that comes twice is read once.
        folder: Where the files lie now; None looks where they lay.

    Returns:
        By row `(height, width, channels)` uint8, of series a plot, of texts their words; and notes
        on what is missing.
    """
    wanted = sorted(set(rows))
    if features.about is not None and features.about.modality not in PICTURED:
        return {}, []
    texts = features.about is not None and features.about.modality == "texts"
    place = None if texts else folder_of(features, folder)
    try:
        if place is not None:
            found: dict[int, Sight] = dict(_from_files(features, wanted, place))
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


def words_of(features: Features, rows: Iterable[int]) -> dict[int, str]:
    """The words of some rows whose examples are texts, as far as they are still there.

    Args:
        features: As `load_features` gives them.
        rows: Which.

    Returns:
        By row; empty for other examples.
    """
    if features.about is None or features.about.modality != "texts":
        return {}
    found, _ = pictures_of(features, rows)
    return {row: words for row, words in found.items() if isinstance(words, str)}


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


def _drawn(part: Part) -> Sequence[Sight]:
    """Thumbnails of images, plots of series, texts as they are."""
    if part.modality not in PICTURED:
        return list(np.zeros((len(part), 1, 1, 1), dtype=np.uint8))
    held = thumbnails(part)
    if held.dtype.kind == "U":
        return held.tolist()
    if held.ndim == 4:
        return list(held)
    lowest, highest = np.percentile(held, (0.5, 99.5), axis=(0, 2))
    return [line_plot(each, lowest, highest) for each in held]
