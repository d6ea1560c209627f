import io
import os
import struct
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nearfar.data import image_files
from nearfar.data.file_reading import shown
from nearfar.data.image_files import (
    MOST_PIXELS,
    SUFFIXES,
    UnreadableImageError,
    pillow_quiet,
    read_header,
    read_image,
)


def _read(path):
    """The image at its own size and with its own channels."""
    header = read_header(path)
    return read_image(path, (header.channels, header.height, header.width))


def _quarters(mode="RGB"):
    """4 wide, 6 high: red, green, blue and white quarters, so that every turn shows."""
    pixels = np.zeros((6, 4, 3), np.uint8)
    pixels[:3, :2], pixels[:3, 2:], pixels[3:, :2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    pixels[3:, 2:] = 255
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp", "gif", "jp2"])
def test_lossless_formats_give_the_pixels(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    _quarters().save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(_read(path).transpose(1, 2, 0), np.asarray(_quarters()))
    assert path.suffix in SUFFIXES


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_modes_have_one_channel(tmp_path, mode):
    path = tmp_path / "image.png"
    image = Image.new("L", (5, 3), 255)
    image.convert(mode).save(path)
    assert _read(path).shape == (1, 3, 5)
    assert (_read(path) == 255).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_may_be_written_to(tmp_path, mode):
    Image.new(mode, (3, 2)).save(tmp_path / "a.png")
    assert _read(tmp_path / "a.png").flags.writeable


def test_palettes_are_looked_up_and_grey_ones_noticed(tmp_path):
    colour, grey = tmp_path / "colour.png", tmp_path / "grey.gif"
    _quarters("P").save(colour)
    np.testing.assert_array_equal(
        _read(colour).transpose(1, 2, 0), np.asarray(_quarters("P").convert("RGB"))
    )
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
    image.save(grey)
    assert read_header(grey).channels == 1
    np.testing.assert_array_equal(_read(grey)[0], np.asarray(image))


@pytest.mark.parametrize("alpha", [0, 51, 255])
def test_transparency_is_laid_over_white(tmp_path, alpha):
    path = tmp_path / "image.png"
    Image.new("RGBA", (2, 2), (200, 100, 0, alpha)).save(path)
    share = alpha / 255
    expected = [share * level + (1 - share) * 255 for level in (200, 100, 0)]
    np.testing.assert_allclose(_read(path)[:, 0, 0], expected, atol=1)


def test_transparent_palette_entries_are_white(tmp_path):
    path = tmp_path / "image.png"
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(path, transparency=0)
    assert _read(path)[:, 0].tolist() == [[255, 40], [255, 50], [255, 60]]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    levels = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(levels).save(path)
    assert _read(path)[0].tolist() == [[0, 0, 1, 128, 255]]
    assert read_image(path, (3, 1, 5))[:, 0, 3].tolist() == [128] * 3


def test_big_endian_sixteen_bits(tmp_path):
    path = tmp_path / "image.tif"
    Image.frombytes("I;16B", (2, 1), struct.pack(">2H", 65535, 257)).save(path)
    assert _read(path)[0].tolist() == [[255, 1]]


def test_sixteen_bit_colour_keeps_its_brightness(tmp_path):
    """Pillow cannot write it, so the file is made by hand."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">6H", 0, 32768, 65535, 257, 65535, 0)
    path = tmp_path / "image.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_allclose(_read(path)[:, 0].T, [[0, 128, 255], [1, 255, 0]], atol=1)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_an_agreed_range_are_refused(tmp_path, mode):
    path = tmp_path / "image.tif"
    Image.new(mode, (2, 2), 70000).save(path)
    with pytest.raises(UnreadableImageError, match="8 or 16 bits"):
        _read(path)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colour_spaces_become_rgb(tmp_path, mode):
    path = tmp_path / "image.tif"
    image = Image.new("RGB", (4, 4), (200, 50, 50))
    converted = Image.new("LAB", (4, 4), (200, 160, 150)) if mode == "LAB" else image.convert(mode)
    converted.save(path)
    pixels = _read(path)
    assert pixels.shape == (3, 4, 4)
    assert pixels[0, 0, 0] > pixels[2, 0, 0] + 10


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, orientation, suffix):
    """Against Pillow's own exif_transpose."""
    from PIL import ImageOps

    path = tmp_path / f"image.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = _quarters().resize((32, 48), Image.Resampling.NEAREST)
    large.save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert expected.shape == ((48, 32, 3) if orientation < 5 else (32, 48, 3))
    np.testing.assert_array_equal(_read(path).transpose(1, 2, 0), expected)


@pytest.mark.parametrize("value", [0, 9, 60000])
def test_impossible_orientations_mean_upright(tmp_path, value):
    path = tmp_path / "image.png"
    exif = Image.Exif()
    exif[0x0112] = value
    _quarters().save(path, exif=exif)
    np.testing.assert_array_equal(_read(path).transpose(1, 2, 0), np.asarray(_quarters()))


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    path = tmp_path / "image.jpg"
    _quarters().save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff damaged")
    assert _read(path).shape == (3, 6, 4)


def test_another_size_is_covered_and_cut_to_its_centre(tmp_path):
    path = tmp_path / "image.png"
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = 255
    Image.fromarray(pixels).save(path)
    assert read_image(path, (3, 20, 20)).min() > 230
    wide = read_image(path, (1, 10, 30))
    assert wide.shape == (1, 10, 30)
    assert wide[0, 5, [0, 15, 29]].tolist() == [0, 255, 0]


def test_fast_decoding_of_large_jpegs_changes_little(tmp_path):
    """Against decoding in full and resizing after."""
    rows, columns = np.mgrid[0:800, 0:800]
    waves = 127 + 80 * np.sin(rows / 40) * np.cos(columns / 30)
    image = Image.fromarray(waves.astype(np.uint8))
    path = tmp_path / "image.jpg"
    image.save(path, quality=95)
    with Image.open(path) as whole:
        expected = np.asarray(whole.resize((64, 64), Image.Resampling.BICUBIC), int)
    assert np.abs(read_image(path, (1, 64, 64))[0] - expected).mean() < 1


def _png_of_declared_size(width, height):
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9460, 20_000, 2**31 - 1])
def test_decompression_bombs_are_refused_undecoded(tmp_path, side):
    assert side * side > MOST_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_of_declared_size(side, side))
    for read in (read_header, lambda path: read_image(path, (1, 8, 8))):
        with pytest.raises(UnreadableImageError, match="bomb") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_no_interpreter_is_ever_started(tmp_path):
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    path = tmp_path / "image.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(UnreadableImageError, match="not an image of a known format"):
        read_header(path)


@pytest.mark.parametrize(
    "suffix", ["jpg", "png", "gif", "webp", "tif", "bmp", "jp2", "tga", "sgi", "qoi", "dds"]
)
def test_truncated_files_are_refused(tmp_path, suffix):
    random = np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8)
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(random).save(path)
    whole = path.read_bytes()
    for share in (0, 0.01, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UnreadableImageError, match=r"image\."):
            read_image(path, (3, 8, 8))


_FUZZED = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "TIFF": "tif",
    "WEBP": "webp",
    "BMP": "bmp",
    "PPM": "ppm",
    "JPEG2000": "jp2",
    "TGA": "tga",
    "SGI": "sgi",
    "PCX": "pcx",
    "QOI": "qoi",
    "DDS": "dds",
}


@given(st.sampled_from(sorted(_FUZZED)), st.data())
def test_any_damage_gives_an_image_or_one_line(tmp_path_factory, kind, data):
    buffer = io.BytesIO()
    _quarters().save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / f"image.{_FUZZED[kind]}"
    path.write_bytes(content)
    message = ""
    try:
        assert read_image(path, (3, 8, 8)).shape == (3, 8, 8)
        read_header(path)
    except UnreadableImageError as error:
        message = str(error)
    assert "\n" not in message


def test_pillow_is_quiet_while_anyone_wants_it_so_and_not_after():
    """Entered and left in any order, as threads do."""
    before = list(warnings.filters)
    first, second = pillow_quiet(), pillow_quiet()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert len(warnings.filters) == len(before) + 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn_explicit("x", UserWarning, "file", 1, module="PIL.Image")
        warnings.warn_explicit("y", UserWarning, "file", 1, module="other")
    assert [str(each.message) for each in caught] == ["y"]
    second.__exit__(None, None, None)
    assert list(warnings.filters) == before


@pytest.mark.parametrize("mode", ["I;16", "I", "RGBA", "LA", "P", "1", "CMYK"])
def test_large_images_are_the_same_band_by_band(tmp_path, mode, monkeypatch):
    random = np.random.RandomState(0)
    if mode == "I;16":
        image = Image.fromarray(random.randint(0, 65536, (40, 30)).astype(np.uint16))
    elif mode == "I":
        image = Image.fromarray(random.randint(0, 65536, (40, 30)).astype(np.int32))
    else:
        image = Image.fromarray(random.randint(0, 256, (40, 30, 4)).astype(np.uint8), "RGBA")
        image = image if mode == "RGBA" else image.convert("RGB").convert(mode)
    path = tmp_path / "image.tif"
    image.save(path, **({"transparency": 3} if mode == "P" else {}))
    whole = read_image(path, (3, 40, 30))
    for pixels in (1, 70, 1199):
        monkeypatch.setattr(image_files, "_PIXELS_AT_ONCE", pixels)
        np.testing.assert_array_equal(read_image(path, (3, 40, 30)), whole)


def test_sixteen_bits_take_little_beside_the_decoder(tmp_path):
    """In one piece, 10 million pixels took 240 MB of whole numbers between the two depths."""
    path = tmp_path / "image.png"
    Image.fromarray(np.full((2500, 4000), 32768, np.uint16)).save(path, compress_level=1)
    tracemalloc.start()
    try:
        assert (read_image(path, (1, 8, 8)) == 128).all()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6


def test_large_images_take_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "_LARGE", 50)
    plain, inside, most = image_files._plain, [], []

    def watched(image, mode):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return plain(image, mode)

    monkeypatch.setattr(image_files, "_plain", watched)
    for side in (7, 8):  # 49 pixels and 64
        path = tmp_path / f"{side}.png"
        Image.new("L", (side, side)).save(path)
        most.clear()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: read_image(path, (1, 4, 4)), range(16)))  # noqa: B023
        assert (max(most) == 1) == (side == 8)


def test_missing_files_are_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match="No such file"):
        read_header(tmp_path / "none.png")
    (tmp_path / "none.png").touch()
    with pytest.raises(UnreadableImageError, match=r"none\.png: an empty file$"):
        read_header(tmp_path / "none.png")


def test_names_are_shown_without_what_a_terminal_obeys(tmp_path):
    strange = tmp_path / os.fsdecode(b"a\n\x1b[31m\xff\xc3\xa4.png")
    assert shown(strange).endswith("a\\n\\x1b[31m\\xffä.png")
