"""Images as data URIs, so that the page needs no other file."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from jaxtyping import UInt8
from PIL import Image

LARGEST_PNG = 300_000
"""Bytes beyond which a picture is kept as JPEG instead, which photographs need a fifth of."""


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
