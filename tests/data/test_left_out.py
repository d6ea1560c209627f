"""Nothing that lies in a folder vanishes without a word."""

import numpy as np
import pytest
from PIL import Image, features
from scipy.io import wavfile
from source_files import write_images

from nearfar.data.image_files import _BY_CONTENT, _BY_ENDING, SUFFIXES
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec, WavSpec
from nearfar.errors import NearfarError


def _load(root, **settings):
    return load_source(FolderSpec(root=root, **({"test_fraction": 0.0} | settings)))


def _picture():
    rows, columns = np.mgrid[0:12, 0:12]
    return Image.fromarray(np.stack([rows * 20, columns * 20, rows * 5 + 100], -1).astype(np.uint8))


def test_endings_are_those_that_pillow_registers():
    Image.init()
    ours = {*_BY_CONTENT, *_BY_ENDING}
    registered = {ending for ending, name in Image.EXTENSION.items() if name in ours}
    assert registered | {".mpo"} == SUFFIXES
    assert not ours & {"EPS", "WMF", "FITS", "HDF5", "GRIB", "BUFR"}


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        *[
            ("jfif", "JPEG"),
            ("JPE", "JPEG"),
            ("Jpeg", "JPEG"),
            ("TIFF", "TIFF"),
            ("J2K", "JPEG2000"),
        ],
        *[("tga", "TGA"), ("PCX", "PCX"), ("dib", "DIB"), ("sgi", "SGI"), ("qoi", "QOI")],
        *[("dds", "DDS"), ("apng", "PNG"), ("WebP", "WEBP"), ("avif", "AVIF"), ("AVIF", "AVIF")],
    ],
)
def test_what_pillow_can_read_is_read(tmp_path, ending, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    for number in range(2):
        _picture().save(tmp_path / f"{number}.{ending}", kind)
    source = _load(tmp_path)
    assert (len(source.train), source.notes) == (2, ())
    wanted = np.asarray(_picture()).astype(int).transpose(2, 0, 1)
    lossy = 25 if kind in ("JPEG", "AVIF", "WEBP", "JPEG2000") else 0
    assert np.abs(source.train.examples[0].numpy() - wanted).max() <= lossy


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_files_without_an_ending_are_known_by_their_content(tmp_path, kind):
    for name in ("0001", "frame.0002", "photo.jpg_large", "picture.png?size=2"):
        _picture().save(tmp_path / name, kind)
    (tmp_path / "README").write_text("P3 is a format; BM and GIF are others")
    (tmp_path / "PostScript").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "empty").touch()
    source = _load(tmp_path)
    assert source.train.names == ["0001", "frame.0002", "photo.jpg_large", "picture.png?size=2"]
    assert source.notes == ("left out, as no images: 3 without an ending",)


def test_what_is_left_out_is_counted_by_its_ending(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    for name in ("a/1.HEIC", "a/2.heic", "b/3.txt", "b/notes", "a/.hidden.png", ".cache/x.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("?")
    (tmp_path / "a" / "nowhere").symlink_to(tmp_path / "none")
    source = _load(tmp_path)
    assert source.train.names == ["a/1.png", "b/2.png"]
    assert source.notes == (
        "left out, as no images: 2 .heic, 1 .txt, 1 broken link, 1 hidden, 1 hidden folder, "
        "1 without an ending",
    )


def test_what_systems_leave_behind_is_no_ones_data(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    for name in ("a/.DS_Store", "a/._1.png", "b/Thumbs.db", "__MACOSX/a/._1.png", "b/DESKTOP.INI"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("?")
    source = _load(tmp_path)
    assert source.class_names == ("a", "b")
    assert source.notes == ()


def test_a_class_whose_every_file_is_left_out_is_named(tmp_path):
    write_images(tmp_path, ["cat/1.png", "dog/2.png"])
    for name in ("bird/1.heic", "bird/2.heic", "bird/x.mp4", "fish/deep/1.svg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "ant").mkdir()
    source = _load(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert source.notes[-1] == (
        "no image in ant/ (empty), bird/ (2 .heic, 1 .mp4), fish/ (1 .svg): no class is made of it"
    )


def test_a_class_whose_every_file_is_damaged_is_named(tmp_path):
    write_images(tmp_path, [f"{name}/{n}.png" for name in ("cat", "dog", "fox") for n in range(9)])
    write_images(tmp_path, ["eel/1.png"])
    (tmp_path / "eel" / "1.png").write_text("no image")
    source = _load(tmp_path, max_corrupt=0.1)
    assert source.class_names == ("cat", "dog", "fox")
    assert "not one image can be read of eel" in source.notes


def test_a_folder_of_other_files_says_what_lies_there(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.heic").touch()
    with pytest.raises(NearfarError, match=r"no image in it .*, only 3 \.heic"):
        _load(tmp_path)


def test_many_kinds_are_counted_not_all_named(tmp_path):
    write_images(tmp_path, ["1.png"])
    for number in range(12):
        (tmp_path / f"x.a{number:02}").touch()
    assert _load(tmp_path).notes[0].endswith("1 .a07 and 4 more kinds")


def test_sounds_are_counted_and_known_by_their_content_too(tmp_path):
    for name in ("a/1.WAV", "a/2.Wave", "b/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        wavfile.write(tmp_path / name, 8000, np.arange(20, dtype=np.int16))
    for name in ("a/x.mp3", "c/y.flac", "c/z.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = load_source(WavSpec(root=tmp_path, test_fraction=0.0))
    assert source.train.names == ["a/1.WAV", "a/2.Wave", "b/3"]
    assert source.notes == (
        "left out, as no sounds: 2 .flac, 1 .mp3",
        "no sound in c/ (2 .flac): no class is made of it",
    )
