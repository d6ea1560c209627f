"""What heads answer for each pixel, beside the images and the true maps: a card for each task."""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from nearfar.report.pictures import picture

KINDS = {"": "trained", "untrained_": "untrained", "raw_": "raw patches"}
"""Whose answers are shown, by the prefix of their arrays."""
_UNKNOWN = (128, 128, 128)
_NEAR_TO_FAR = np.array(
    [(253, 231, 37), (94, 201, 98), (33, 145, 140), (59, 82, 139), (68, 1, 84)], dtype=float
)
"""From light to dark evenly, so that it is read without seeing colours, too."""


@dataclass(frozen=True)
class DenseCard:
    """A table of pictures.

    Attributes:
        title: Of the card.
        note: What its colours say.
        columns: Heads of the columns.
        rows: Pictures of each row, as data URIs.
        legend: Names of classes and their colours; empty for depths.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[str, str]] = ()


def dense_cards(arrays: Mapping[str, ndarray]) -> list[DenseCard]:
    """A card for depth and one for classes of pixels, as far as they were judged.

    Args:
        arrays: Of the evaluation, by name.
    """
    cards = []
    if "depth_truth" in arrays:
        truth = arrays["depth_truth"]
        known = truth[np.isfinite(truth)]
        nearest, farthest = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        note = (
            f"Light is near ({nearest:.3g}), dark is far ({farthest:.3g}), in the unit of the "
            "depths; grey has no depth."
        )
        painted = {
            name: depth_colours(maps, nearest, farthest)
            for name, maps in _maps(arrays, "depth").items()
        }
        cards.append(_card("Depth of pixels", note, arrays["depth_images"], painted))
    if "segmentation_truth" in arrays:
        names = arrays["segmentation_names"]
        maps = _maps(arrays, "segmentation")
        painted = {name: class_colours(each, len(names)) for name, each in maps.items()}
        there = np.unique(np.concatenate([each.ravel() for each in maps.values()]))
        legend = [
            (str(names[number]), "#{:02x}{:02x}{:02x}".format(*_of_class(number, len(names))))
            for number in there.tolist()
            if number >= 0
        ]
        images = arrays["segmentation_images"]
        note = "A colour is a class; grey is not judged."
        cards.append(_card("Classes of pixels", note, images, painted, legend))
    return cards


def depth_colours(
    depths: Float[ndarray, "n height width"], nearest: float, farthest: float
) -> UInt8[ndarray, "n height width 3"]:
    """Depths as colours; what is not known is grey.

    Args:
        depths: NaN or infinite where they are not known.
        nearest: Depth of the lightest colour; what is nearer has it too.
        farthest: Of the darkest.
    """
    known = np.isfinite(depths)
    span = farthest - nearest or 1.0
    share = np.clip((np.where(known, depths, nearest) - nearest) / span, 0, 1)
    stops = np.linspace(0, 1, len(_NEAR_TO_FAR))
    colours = np.stack([np.interp(share, stops, each) for each in _NEAR_TO_FAR.T], axis=-1)
    colours[~known] = _UNKNOWN
    return colours.round().astype(np.uint8)


def class_colours(
    masks: Int[ndarray, "n height width"], classes: int
) -> UInt8[ndarray, "n height width 3"]:
    """Classes as colours; -1 is grey.

    Args:
        masks: Numbers of classes.
        classes: How many there are.
    """
    table = np.array([*(_of_class(each, classes) for each in range(classes)), _UNKNOWN], np.uint8)
    return table[masks]


def _of_class(number: int, classes: int) -> tuple[int, int, int]:
    """Hues evenly around, neighbours told apart by lightness too."""
    red, green, blue = colorsys.hls_to_rgb(number / classes, (0.35, 0.5, 0.68)[number % 3], 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def _maps(arrays: Mapping[str, ndarray], task: str) -> dict[str, ndarray]:
    """The true maps, then the answers of each kind of features, by the head of their column."""
    answers = {words: f"{prefix}{task}_answers" for prefix, words in KINDS.items()}
    held = {words: arrays[name] for words, name in answers.items() if name in arrays}
    return {"true": arrays[f"{task}_truth"], **held}


def _card(
    title: str,
    note: str,
    images: ndarray,
    painted: Mapping[str, ndarray],
    legend: Sequence[tuple[str, str]] = (),
) -> DenseCard:
    columns = [images, *painted.values()]
    rows = [[picture(each) for each in row] for row in zip(*columns, strict=True)]
    return DenseCard(title, note, ["image", *painted], rows, legend)
