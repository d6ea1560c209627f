"""One image file decoded with care: any mode and orientation, nothing hostile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from nearfar.data.file_reading import UnreadableFileError, shown

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in "jpg jpeg jp2 png bmp gif tif tiff webp ppm pgm pbm pnm".split()  # noqa: SIM905
)
"""File names that are taken for images; all others are passed over."""

MOST_PIXELS = 89_478_485
"""Larger images are refused undecoded as decompression bombs: Pillow's own threshold."""

# Pillow would try every format it knows, among them PostScript, which it hands to an interpreter.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000")
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE = (255, 255, 255, 255)


class UnreadableImageError(UnreadableFileError):
    """A file that is no image, a damaged one, or one that is not safe to decode."""


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself, seen upright.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for colour.
    """

    height: int
    width: int
    channels: int


def read_header(path: Path) -> ImageHeader:
    """Read size and mode of an image without decoding it.

    Args:
        path: The file.

    Returns:
        Its size once turned upright, and 1 or 3 channels.

    Raises:
        UnreadableImageError: If it is no image of a known format, or too large.
    """
    with _opened(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        return ImageHeader(height, width, 1 if _is_grey(image) else 3)


def read_image(path: Path, shape: tuple[int, int, int]) -> UInt8[ndarray, "c h w"]:
    """Decode an image into a given shape.

    EXIF orientation is applied, transparency laid over white, 16-bit grey scaled to 8 bits. An
    image of another size is scaled until it covers the wanted one, then cut to its centre. Of an
    animation the first frame is taken.

    Args:
        path: The file.
        shape: `(channels, height, width)` to return; 1 channel turns colour grey.

    Returns:
        The pixels, 0 to 255.

    Raises:
        UnreadableImageError: If the file is no image, damaged, truncated or too large.
    """
    channels, height, width = shape
    with _opened(path) as image:
        if image.format == "JPEG":
            # JPEG decodes at 1/2, 1/4 or 1/8 size for much less; twice the wanted size remains.
            longest = 2 * max(height, width)
            image.draft(image.mode, (longest, longest))
        turn = _UPRIGHT.get(_orientation(image))
        pixels = _in_eight_bits(image).convert("L" if channels == 1 else "RGB")
        if turn is not None:
            pixels = pixels.transpose(turn)
        if pixels.size != (width, height):
            pixels = ImageOps.fit(pixels, (width, height), Image.Resampling.BICUBIC)
        array = np.asarray(pixels)
    return np.ascontiguousarray(array.reshape(height, width, channels).transpose(2, 0, 1))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An open image of a sane size; whatever goes wrong with it becomes one kind of error."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UnreadableImageError(
                    f"{shown(path)}: {image.width}×{image.height} pixels, over {MOST_PIXELS}: "
                    "refused as a decompression bomb"
                )
            yield image
    except UnreadableImageError:
        raise
    except Image.UnidentifiedImageError:
        raise UnreadableImageError(f"{shown(path)}: not an image of a known format") from None
    # Decoders fed with hostile bytes raise almost anything: struct.error, SyntaxError, KeyError…
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UnreadableImageError(f"{shown(path)}: {reason}") from None


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where there is none or it is damaged."""
    if image.format == "TIFF":
        return 1  # Pillow turns TIFF files upright itself, and has swapped their sides already
    known_to_png = {"exif", "Raw profile type exif", "XML:com.adobe.xmp"}
    if image.format == "PNG" and not known_to_png & image.info.keys():
        return 1  # getexif() would decode the whole image to look for a chunk at its end
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # metadata may hold anything; it must not cost us the picture
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _is_grey(image: Image.Image) -> bool:
    """Whether the image has no colour, by its mode or its palette."""
    if image.mode != "P":
        return image.mode in _GREY_MODES
    palette = image.getpalette("RGB") or [0, 1, 2]
    return palette[0::3] == palette[1::3] == palette[2::3]


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel and nothing transparent."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("pixels of more than 16 bits: save it with 8 or 16 bits")
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        backdrop = Image.new("RGBA", image.size, _WHITE)
        return Image.alpha_composite(backdrop, image.convert("RGBA"))
    return image
