"""What `ContrastiveEncoder` is given: texts, images, series or rows of a table."""

from dataclasses import replace
from typing import Any, cast

from nearfar.data.arrays import looks_channels_first
from nearfar.data.labels import encode_labels
from nearfar.data.missing_labels import labels_there, nothing_there, told_apart
from nearfar.data.source import Part
from nearfar.errors import NearfarError, unknown_name

MODALITIES = ["images", "series", "vectors", "texts"]

ImageShape = tuple[int, int, int]
"""Height, width and channels."""


def texts_in(X: Any, modality: str | None) -> list[str] | None:
    """The strings of a list or of an array of one axis; None where it holds something else.

    Args:
        X: What `fit` or `transform` is given.
        modality: What the user says that it is.

    Raises:
        ValueError: Some are no strings, there are too few, or `modality` is another.
    """
    plain = getattr(X, "ndim", 1) == 1 and not isinstance(X, str | bytes | dict)
    values = list(X) if plain and hasattr(X, "__len__") and len(X) else []
    strings = sum(isinstance(each, str) for each in values)
    if not strings:
        if modality == "texts":
            raise ValueError("modality is texts, and X holds no strings: give a list of them")
        return None
    if modality not in (None, "texts"):
        raise ValueError(f"modality is {modality}, and X holds strings: set it to texts")
    if strings < len(values):
        raise ValueError(
            f"X: {len(values) - strings} of {len(values)} are no strings: leave out or fill in "
            "what is missing"
        )
    return [str(each) for each in values]


def labelled_by(part: Part, y: Any) -> tuple[Part, list, str]:
    """The examples that have a label, with their labels, and the classes as they were given.

    Args:
        part: All examples, without labels.
        y: What `fit` is given; −1, None, NaN and an empty string are none.

    Returns:
        Part, classes, and how many have no label, in words; empty where all have one.

    Raises:
        NearfarError: There is not one label for each example, or none at all, or they do not fit.
    """
    values, there = labels_there(y, len(part), "y", minus_one=True)
    if nothing_there(there):
        raise NearfarError(f"y: not one of {len(part)} examples has a label")
    chosen = told_apart(part, there).labelled
    labels, classes = encode_labels(values, len(chosen), what="y", examples="examples")
    missing = len(part) - len(chosen)
    told = f"{missing} of {len(part)} examples have no label" if missing else ""
    return replace(chosen, labels=labels), classes, told


def shapes_of(
    count: int,
    own_shape: tuple[int, ...] | None,
    *,
    modality: str | None,
    image_shape: tuple[int, ...] | None,
) -> tuple[ImageShape | None, tuple[int, int] | None]:
    """What an example is shaped like.

    Args:
        count: Values of an example.
        own_shape: Of an example, where X has more than two axes.
        modality: What the user says that X holds.
        image_shape: What the user says that an image is shaped like.

    Returns:
        The shape of an image or None, and channels and steps of a series or None; both are None
        for vectors.

    Raises:
        ValueError: What the user says does not fit X.
        SettingError: There is no such modality.
    """
    if modality not in (None, *MODALITIES):
        raise unknown_name("modality", modality, MODALITIES)
    if modality in ("series", "vectors") and image_shape is not None:
        raise ValueError(f"image_shape is for images, and modality is {modality}")
    if modality == "series":
        channels, steps = own_shape or (1, count)  # rows are series of one channel
        return None, (channels, steps)
    if modality == "vectors":
        if own_shape is not None:
            raise ValueError(f"modality is vectors, and X has examples of {own_shape}: give rows")
        return None, None
    if modality == "images" and own_shape is None and image_shape is None:
        raise ValueError("modality is images, and X has rows: say their image_shape")
    return _image_shape(count, cast(ImageShape | None, own_shape), image_shape), None


def _image_shape(
    count: int, own_shape: ImageShape | None, image_shape: tuple[int, ...] | None
) -> ImageShape | None:
    """The shape of an image; None where rows are no images."""
    if image_shape is None:
        if own_shape is not None and looks_channels_first(own_shape):
            height, width, channels = own_shape
            raise ValueError(
                f"X: images of shape {own_shape} look channels first: give X.transpose(0, 2, "
                f"3, 1), or say image_shape={own_shape} if they are {height}×{width} pixels of "
                f"{channels} channels"
            )
        return own_shape
    height, width, channels = (*image_shape, 1)[:3]
    if own_shape is not None and own_shape != (height, width, channels):
        raise ValueError(
            f"image_shape {tuple(image_shape)} is not that of X: its images are {own_shape}; "
            "leave image_shape out, or transpose X"
        )
    if height * width * channels != count:
        raise ValueError(
            f"image_shape {tuple(image_shape)} takes {height * width * channels} values, and the "
            f"rows of X have {count}"
        )
    return height, width, channels
