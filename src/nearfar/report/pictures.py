"""Images, and plots of series in their place, as data URIs: the page needs no other file."""

import colorsys
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

LARGEST_PNG = 300_000
"""Bytes beyond which a picture is kept as JPEG instead, which photographs need a fifth of."""
SIDE = 96
"""Pixels of a plot, either way."""
_FINER = 2  # drawn this much larger and shrunk, which smooths the lines
_PICTURES = ("shown_images", "gallery_images", "view_originals", "view_samples")


@dataclass(frozen=True)
class ContactSheet:
    """Many images of one size in one picture, row by row.

    Attributes:
        uri: The picture.
        columns: Images in a row.
        tile: Side of an image in the picture, pixels.
        rows: Rows of images.
    """

    uri: str
    columns: int
    tile: int
    rows: int


def picture(image: UInt8[np.ndarray, "height width channels"], largest: int = 96) -> str:
    """One image as a data URI, made smaller where a side exceeds `largest` pixels."""
    shown = _shown(image)
    shown.thumbnail((largest, largest))
    return _uri(shown)


def contact_sheet(
    images: UInt8[np.ndarray, "n height width channels"], largest: int = 40
) -> ContactSheet:
    """All images in one picture of about as many columns as rows, for pictures on hover.

    Args:
        images: At least one image.
        largest: Longest side of a tile, pixels; larger images are made smaller.
    """
    tile = min(largest, max(images.shape[1:3]))
    columns = ceil(sqrt(len(images)))
    rows = ceil(len(images) / columns)
    sheet = Image.new(_shown(images[0]).mode, (columns * tile, rows * tile))
    for place, image in enumerate(images):
        shown = _shown(image)
        if max(shown.size) != tile:
            shown.thumbnail((tile, tile))
        row, column = divmod(place, columns)
        sheet.paste(shown, (column * tile, row * tile))
    return ContactSheet(_uri(sheet), columns, tile, rows)


def _shown(image: np.ndarray) -> Image.Image:
    """Grey for one or two channels (their mean), else the first three as red, green and blue."""
    if image.shape[2] < 3:
        return Image.fromarray(image.mean(axis=2).round().astype(np.uint8))
    return Image.fromarray(np.ascontiguousarray(image[:, :, :3]))


def _uri(image: Image.Image) -> str:
    kind, data = "png", _encoded(image, "PNG", optimize=True)
    if len(data) > LARGEST_PNG:
        kind, data = "jpeg", _encoded(image, "JPEG", quality=85)
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_series_drawn(arrays: Mapping[str, ndarray]) -> Mapping[str, ndarray]:
    """The arrays of an evaluation with a plot of each series in its place.

    A channel is one line, of one colour and one scale in all plots: from the half per cent of
    lowest values on show to that of the highest.

    Args:
        arrays: As in `evaluation.npz`; those of images and of vectors come back as they are.
    """
    held = [arrays[name] for name in ("shown_images", "view_originals") if name in arrays]
    if not held or held[0].ndim != 3:
        return arrays
    lowest, highest = np.percentile(held[0], (0.5, 99.5), axis=(0, 2))
    drawn = dict(arrays)
    for name in _PICTURES:
        if name in arrays:
            series = arrays[name].reshape(-1, *arrays[name].shape[-2:])
            plots = np.stack([line_plot(each, lowest, highest) for each in series])
            drawn[name] = plots.reshape(*arrays[name].shape[:-2], *plots.shape[1:])
    return drawn


def line_plot(
    series: Float[ndarray, "channels steps"],
    lowest: ndarray,
    highest: ndarray,
) -> UInt8[ndarray, "height width 3"]:
    """One series, a line for each channel on white.

    Args:
        series: Its values over time.
        lowest: For each channel, the value at the foot of the plot.
        highest: For each channel, the value at its head.
    """
    side = SIDE * _FINER
    plot = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(plot)
    margin = 4 * _FINER
    span = np.where(highest > lowest, highest - lowest, 1.0)[:, None]
    # A value far off the scale leaves the plot, but stays a number that can be drawn.
    height = np.clip((series - lowest[:, None]) / span, -1, 2)
    down = side - margin - height * (side - 2 * margin)
    across = np.linspace(margin, side - margin, series.shape[1])
    for channel, line in enumerate(down):
        points = list(zip(across.tolist(), line.tolist(), strict=True))
        if len(points) == 1:
            points = [(margin, points[0][1]), (side - margin, points[0][1])]
        pen.line(points, fill=_colour(channel, len(series)), width=_FINER + 1, joint="curve")
    return np.asarray(plot.resize((SIDE, SIDE), Image.Resampling.BOX))


def _colour(channel: int, channels: int) -> tuple[int, int, int]:
    """A colour for a channel: the hues spread evenly, dark enough for white."""
    red, green, blue = colorsys.hls_to_rgb(0.58 + channel / channels, 0.40, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)
