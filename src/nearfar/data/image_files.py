"""One image file decoded with care: any mode and orientation, nothing hostile."""

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Num, UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from nearfar.data.folder_tree import FileKind
from nearfar.data.image_faults import (
    NO_IMAGE,
    Content,
    UnreadableImageError,
    in_our_words,
    told,
)
from nearfar.data.source_spec import Fit, Pages
from nearfar.data.tiff_files import (
    band_header,
    bands_beyond_colour,
    file_and_page,
    full_pages,
    read_bands,
)

# Pillow would try every format it knows, among them PostScript, which it hands to an interpreter.
# Left out besides: formats whose inner pictures escape the limit below (ICO, ICNS), films, and
# those without pixels of an agreed range.
_BY_CONTENT = ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "BMP", "PPM", "PSD", "QOI")
_BY_ENDING = ("DIB", "DDS", "PCX", "SGI", "SUN", "XBM", "XPM", "TGA")  # TGA begins with no mark

_ENDINGS = """
    jpg jpeg jpe jfif mpo png apng gif tif tiff webp avif avifs jp2 j2k jpc jpf jpx j2c bmp dib
    pbm pgm ppm pnm pfm psd qoi dds pcx bw rgb rgba sgi ras xbm xpm tga icb vda vst
"""
SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Endings of the names that are taken for images: those that Pillow registers for these formats."""

MOST_PIXELS = 89_478_485
"""Larger images are refused undecoded as decompression bombs: Pillow's own threshold."""

_PIXELS_AT_ONCE = 2**20
"""Pixels that are converted at a time: what lies between two modes may take 32 bytes a pixel."""
_LARGE = 2**24
"""Images of more pixels are decoded one after the other, whatever the number of threads."""
_one_large_image = threading.Lock()
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
_OF_NUMBERS = frozenset(("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
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


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself, seen upright.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for colour.
        bands: Of a TIFF file with more than the colours; 0 for any other image.
        pages: Those of a TIFF file that are pictures of their own, by number.
    """

    height: int
    width: int
    channels: int
    bands: int = 0
    pages: tuple[int, ...] = (0,)


def read_header(content: Content) -> ImageHeader:
    """Read size and mode of an image without decoding it.

    Returns:
        Its size once turned upright, and 1 or 3 channels; of TIFF files also bands and pages.

    Raises:
        UnreadableImageError: If it is no image of a known format, or too large.
    """
    try:
        with _opened(content) as image:
            width, height = image.size
            if _orientation(image) >= 5:
                width, height = height, width
            grey, bands, pages = _is_grey(image), bands_beyond_colour(image), full_pages(image)
            return ImageHeader(height, width, 1 if grey else 3, bands, pages)
    except UnreadableImageError as error:
        # Pillow knows no TIFF file of more than four bands.
        return _header_of_bands(content, error)


def pages_left_out(headers: Iterable[ImageHeader], instead: str = "") -> list[str]:
    """A note on files of several pages of which the first alone is read, where there are some.

    Args:
        headers: Of all files.
        instead: What reads the others, as the note's end.
    """
    counts = [len(header.pages) for header in headers if len(header.pages) > 1]
    if not counts:
        return []
    files = f"{len(counts)} TIFF files" if len(counts) > 1 else "a TIFF file"
    left_out = sum(counts) - len(counts)
    pages = f"{left_out:,} pages" if left_out > 1 else "a page"
    return [f"left out {pages} of {files}: the first of each is read{instead}"]


def _header_of_bands(content: Content, error: UnreadableImageError) -> ImageHeader:
    """The header of a TIFF file of many bands; the error of any other file."""
    if NO_IMAGE not in str(error):
        raise error
    with in_our_words(content):
        found = band_header(content)
        if found is None:
            raise error
        bands, height, width = found
        return ImageHeader(height, width, 3, bands)


def read_image(
    content: Content, shape: tuple[int, int, int], fit: Fit = "crop", pages: Pages = "first"
) -> UInt8[ndarray, "c h w"]:
    """Decode an image into a given shape.

    EXIF orientation is applied, transparency laid over white, 16-bit grey scaled to 8 bits. Of an
    animation the first frame is taken.

    Args:
        content: The file, the page of a file, or what a file would hold.
        shape: `(channels, height, width)` to return; 1 channel turns colour grey, any number but 1
            and 3 is that of the bands of a TIFF file.
        fit: How an image of another size comes to this one. `crop`: scaled until it covers it, then
            cut to the centre; `pad`: scaled until it fits into it, on a ground of its mean colour;
            `squash`: each side scaled by itself.
        pages: `channels` makes each page of a TIFF file a channel.

    Returns:
        The pixels, 0 to 255.

    Raises:
        UnreadableImageError: If the file is no image, damaged, truncated or too large, or has
            another number of bands or pages than there are channels.
    """
    channels, height, width = shape
    if pages == "channels":
        return _pages_as_channels(content, shape, fit)
    if channels not in (1, 3):
        return _bands_as_channels(content, shape, fit)
    with _opened(content) as image:
        if image.format == "JPEG":
            # JPEG decodes at 1/2, 1/4 or 1/8 size for much less; twice the wanted size remains.
            longest = 2 * max(height, width)
            image.draft(image.mode, (longest, longest))
        large = image.width * image.height > _LARGE
        with _one_large_image if large else nullcontext():
            turn = _UPRIGHT.get(_orientation(image))
            pixels = _plain(image, "L" if channels == 1 else "RGB")
            if turn is not None:
                pixels = pixels.transpose(turn)
            if pixels.size != (width, height):
                pixels = fitted_image(pixels, (width, height), fit)
        array = np.asarray(pixels)
    # A copy in any case: Pillow lends its pixels to be read only, which torch warns of.
    return array.reshape(height, width, channels).transpose(2, 0, 1).copy()


def read_values(path: Path) -> Num[ndarray, "height width"]:
    """The numbers that an image file of one channel holds, as they are: depths, or classes.

    Of an image with a palette these are the places in it.

    Raises:
        UnreadableImageError: If the file is no image, damaged or too large, or has colours.
    """
    with _opened(path) as image:
        if image.mode not in _OF_NUMBERS:
            raise ValueError(f"a picture of mode {image.mode}, where one channel of numbers is due")
        return np.array(image)


def _pages_as_channels(
    content: Content, shape: tuple[int, int, int], fit: Fit
) -> UInt8[ndarray, "c h w"]:
    """Each page of a file, turned grey, as a channel."""
    channels, height, width = shape
    with _opened(content) as image:
        pages = full_pages(image)
        if len(pages) != channels:
            raise ValueError(f"{len(pages)} pages, where other files have {channels}")
        layers, first = [], image.size
        for page in pages:
            image.seek(page)
            if image.size != first:
                raise ValueError("pages of several sizes are no channels of one image")
            layers.append(np.asarray(fitted_image(_plain(image, "L"), (width, height), fit)))
    return np.stack(layers)


def _bands_as_channels(
    content: Content, shape: tuple[int, int, int], fit: Fit
) -> UInt8[ndarray, "c h w"]:
    """Each band of a TIFF file as a channel."""
    channels, height, width = shape
    with in_our_words(content):
        bands, orientation = read_bands(content, MOST_PIXELS)
        if len(bands) != channels:
            raise ValueError(f"{len(bands)} bands, where other files have {channels}")
        layers = []
        for band in bands:
            layer = Image.fromarray(np.ascontiguousarray(band))
            turn = _UPRIGHT.get(orientation)
            layer = layer if turn is None else layer.transpose(turn)
            layers.append(np.asarray(fitted_image(layer, (width, height), fit)))
    return np.stack(layers)


def is_image(path: Path) -> bool:
    """Whether a file is an image by its content, whatever its name."""
    try:
        with Image.open(path, formats=_BY_CONTENT):
            return True
    except Image.DecompressionBombError:
        return True  # one that is refused by name when it is read
    except Exception:  # decoders fed with anything raise nearly anything
        return False


IMAGES = FileKind("image", "JPEG, PNG, GIF, TIFF, WebP, AVIF, BMP…", SUFFIXES, "images", is_image)
"""Which files are taken for images."""


class _Quiet:
    """How many want Pillow quiet, and the filter that does it."""

    lock = threading.Lock()
    wanted = 0
    entry: tuple | None = None


@contextmanager
def pillow_quiet() -> Iterator[None]:
    """Keep back Pillow's warnings, which are harmless or end in an error that is told.

    `warnings.catch_warnings` puts back a whole list of filters, and so of two threads the one that
    ends last puts back the other's. Here one filter goes in, and the same one goes out with the
    last who wanted it.
    """
    with _Quiet.lock:
        _Quiet.wanted += 1
        if _Quiet.wanted == 1:
            warnings.filterwarnings("ignore", module=r"PIL\b")
            _Quiet.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.wanted -= 1
            if _Quiet.wanted == 0:
                with suppress(ValueError):  # others may have put back filters of their own
                    cast(list, warnings.filters).remove(_Quiet.entry)


@contextmanager
def _opened(content: Content) -> Iterator[Image.Image]:
    """An open image of a sane size; whatever goes wrong with it becomes one kind of error."""
    with in_our_words(content):
        formats = _BY_CONTENT
        if isinstance(content, bytes):
            file, page = BytesIO(content), 0
        else:
            file, page = file_and_page(content)
            formats = _formats(file)
        with Image.open(file, formats=formats) as image:
            if page:
                image.seek(page)
            if image.width * image.height > MOST_PIXELS:
                raise UnreadableImageError(
                    f"{told(content)}{image.width}×{image.height} pixels, over {MOST_PIXELS}: "
                    "refused as a decompression bomb"
                )
            yield image


def _formats(path: Path) -> tuple[str, ...]:
    """What a file may be: one without a mark of its own is only what its name says."""
    return (*_BY_CONTENT, *_BY_ENDING) if path.suffix.lower() in SUFFIXES else _BY_CONTENT


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


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The image as L or RGB, with 8 bits a channel and nothing transparent."""
    image.load()
    if image.width * image.height <= _PIXELS_AT_ONCE:
        plain = _in_eight_bits(image)
        return plain if plain.mode == mode else plain.convert(mode)  # which copies in any case
    # Band by band: no pixel depends on another, and steps between two modes are large.
    plain = Image.new(mode, image.size)
    rows = max(1, _PIXELS_AT_ONCE // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        plain.paste(_in_eight_bits(band).convert(mode), (0, top))
    return plain


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


def fitted_image(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """An L or RGB image at another width and height."""
    if fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BICUBIC)
    if fit == "squash":
        return image.resize(size, Image.Resampling.BICUBIC)
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    scaled = image.resize(inner, Image.Resampling.BICUBIC)
    mean = np.asarray(scaled, dtype=np.float64).mean(axis=(0, 1)).round().astype(int)
    ground = Image.new(image.mode, size, tuple(np.atleast_1d(mean).tolist()))
    ground.paste(scaled, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return ground
