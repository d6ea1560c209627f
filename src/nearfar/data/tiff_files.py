"""TIFF files of several pages, and of more bands than a colour picture has."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

TIFF_SUFFIXES = (".tif", ".tiff")
_REDUCED, _MASK = 1, 4
_SUBFILE_TYPE, _SAMPLES, _EXTRA_SAMPLES, _ORIENTATION = 254, 277, 338, 274
_UNSPECIFIED = 0
"""A sample beside the colours that is no transparency, such as near infrared."""


def page_path(file: Path, page: int) -> Path:
    """The name of one page: `stack.tif/3`, which no file can have."""
    return file / str(page)


def file_and_page(path: Path) -> tuple[Path, int]:
    """The file that a name of `page_path` is of, and the page; of any other name page 0."""
    file = path.parent
    if path.name.isdecimal() and file.suffix.lower() in TIFF_SUFFIXES and not file.is_dir():
        return file, int(path.name)
    return path, 0


def full_pages(image: Image.Image) -> tuple[int, ...]:
    """The pages of an open file that are pictures of their own, by number.

    Smaller copies of another page (thumbnails, pyramids) and masks say of themselves that they are.
    """
    if image.format != "TIFF":
        return (0,)
    found = []
    for page in range(getattr(image, "n_frames", 1)):
        image.seek(page)
        kind = image.tag_v2.get(_SUBFILE_TYPE, 0)  # pyright: ignore[reportAttributeAccessIssue]
        if not kind & (_REDUCED | _MASK):
            found.append(page)
    image.seek(0)
    return tuple(found) or (0,)


def bands_beyond_colour(image: Image.Image) -> int:
    """How many bands an open file has where Pillow would leave some out; 0 where it reads all."""
    if image.format != "TIFF":
        return 0
    tags = image.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
    extra = tags.get(_EXTRA_SAMPLES, ())
    extra = extra if isinstance(extra, tuple) else (extra,)
    return int(tags.get(_SAMPLES, 1)) if _UNSPECIFIED in extra else 0


def band_header(content: Path | bytes) -> tuple[int, int, int] | None:
    """Bands, height and width of a TIFF file that Pillow does not know; None where it is none.

    Raises:
        ValueError: It has bands, and tifffile, which reads them, is not installed.
    """
    with content.open("rb") if isinstance(content, Path) else BytesIO(content) as file:
        if file.read(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return None
    with _opened(content) as tiff:
        page = tiff.pages.first
        return int(page.samplesperpixel), int(page.imagelength), int(page.imagewidth)


def read_bands(
    content: Path | bytes, most: int
) -> tuple[UInt8[ndarray, "bands height width"], int]:
    """All bands of the first page, and its orientation (1 is upright).

    Args:
        content: The file, or what it holds.
        most: Largest number of values that are decoded.

    Raises:
        ValueError: There are more, or they are of a type without an agreed range.
    """
    with _opened(content) as tiff:
        page = tiff.pages.first
        bands, size = int(page.samplesperpixel), int(page.imagelength) * int(page.imagewidth)
        if bands * size > most:
            raise ValueError(f"{bands} bands of {size} pixels, over {most} values: refused")
        if page.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"bands of {page.dtype} have no agreed range: save them with 8 or 16 bits"
            )
        values = page.asarray().reshape(page.shape)
        if page.axes == "YXS":
            values = values.transpose(2, 0, 1)
        tag = page.tags.get(_ORIENTATION)
    if values.shape[0] != bands or values.ndim != 3:
        raise ValueError(f"bands laid out as {page.axes}: save them as one page of bands")
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) * 255 + 32767) // 65535
    return values.astype(np.uint8), int(tag.value) if tag is not None else 1


@contextmanager
def _opened(content: Path | bytes) -> Iterator[Any]:
    """The file as tifffile sees it, which is to say nothing of it by itself."""
    if find_spec("tifffile") is None:
        raise ValueError("several bands: needs tifffile, pip install 'nearfar[tiff]'")
    import tifffile

    # What it logs would reach standard error where nobody has set up logging.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    with tifffile.TiffFile(BytesIO(content) if isinstance(content, bytes) else content) as tiff:
        yield tiff
