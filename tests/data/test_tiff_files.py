"""TIFF files of several pages or of many bands: what a page is must be said, what a band is not."""

from contextlib import suppress

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.uses.tiny_encoder import tiny_encoder

from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.image_files import UnreadableImageError, read_header, read_image
from nearfar.data.shard_specs import ImageParquetSpec
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec
from nearfar.data.tiff_files import page_path
from nearfar.data.tolerant_files import all_images
from nearfar.errors import NearfarError, SettingError
from nearfar.uses.embeddable import of_image

pytestmark = pytest.mark.filterwarnings("ignore:Tag data larger:UserWarning")
rng = np.random.default_rng(0)


def stack(path, pages, size=(8, 10)):
    values = rng.integers(0, 256, (pages, *size), dtype=np.uint8)
    first, *others = (Image.fromarray(page) for page in values)
    first.save(path, save_all=True, append_images=others)
    return values


def load(root, **settings):
    return load_source(FolderSpec(root=root, test_fraction=0.0, **settings))


def test_pages_are_not_guessed_at(tmp_path):
    stack(tmp_path / "stack.tif", 3)
    stack(tmp_path / "one.tif", 1)
    with pytest.raises(SettingError, match=r"1 of 2 images have .* stack.tif with 3: say by"):
        load(tmp_path)


@pytest.mark.parametrize("in_memory_mib", [1, 0])
def test_each_page_is_an_image(tmp_path, in_memory_mib):
    first, second = stack(tmp_path / "a.tif", 3), stack(tmp_path / "b.tif", 1)
    source = load(tmp_path, pages="each", in_memory_mib=in_memory_mib)
    images = [source.train.examples[at].numpy()[0] for at in range(4)]
    assert np.array_equal(images, np.concatenate([first, second]))
    assert source.train.names == ["a.tif/0", "a.tif/1", "a.tif/2", "b.tif"]
    assert any("1 files hold several pages: 4 images in all" in note for note in source.notes)
    other = load(tmp_path, pages="first", in_memory_mib=in_memory_mib)
    assert part_fingerprint(other.train) != part_fingerprint(source.train)


def test_pages_keep_the_class_of_their_file(tmp_path):
    for name, pages in (("cat", 2), ("dog", 3)):
        (tmp_path / name).mkdir()
        stack(tmp_path / name / "stack.tiff", pages)
    source = load(tmp_path, pages="each")
    assert source.train.labels.tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("in_memory_mib", [1, 0])
@pytest.mark.parametrize("count", [3, 5])
def test_each_page_is_a_channel(tmp_path, count, in_memory_mib):
    written = [stack(tmp_path / f"{name}.tif", count) for name in "ab"]
    source = load(tmp_path, pages="channels", in_memory_mib=in_memory_mib)
    assert source.train.example_shape == (count, 8, 10)
    for at, values in enumerate(written):
        assert np.array_equal(source.train.examples[at].numpy(), values)


def test_channels_must_be_as_many_everywhere(tmp_path):
    stack(tmp_path / "a.tif", 3)
    stack(tmp_path / "b.tif", 4)
    with pytest.raises(NearfarError, match="files of 3 to 4 pages"):
        load(tmp_path, pages="channels")


def test_thumbnails_inside_a_file_are_no_pages(tmp_path):
    full = rng.integers(0, 256, (16, 16), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        file.write(full, photometric="minisblack")
        file.write(full[::4, ::4], subfiletype=1, photometric="minisblack")
    source = load(tmp_path)
    assert np.array_equal(source.train.examples[0, 0].numpy(), full)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [2, 4, 5, 13])
def test_bands_are_channels(tmp_path, bands, kind, planes):
    values = rng.integers(0, np.iinfo(kind).max, (bands, 8, 10), dtype=kind)
    written = values if planes == "separate" else values.transpose(1, 2, 0)
    for name in "ab":
        tifffile.imwrite(
            tmp_path / f"{name}.tif", written, photometric="minisblack", planarconfig=planes
        )
    source = load(tmp_path)
    assert source.train.example_shape == (bands, 8, 10)
    scale = 257 if kind is np.uint16 else 1
    expected = np.round(values / scale)
    assert np.array_equal(source.train.examples[1].numpy(), expected)
    assert any(f"each of the {bands} bands" in note for note in source.notes)


def test_near_infrared_beside_red_green_and_blue_is_kept_or_left_out_as_asked(tmp_path):
    values = rng.integers(0, 256, (8, 10, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(load(tmp_path).train.examples[0], values.transpose(2, 0, 1))
    three = load(tmp_path, channels=3).train.examples[0]
    assert np.array_equal(three, values[..., :3].transpose(2, 0, 1))


def test_transparency_is_no_band(tmp_path):
    values = np.full((8, 8, 4), 255, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    assert load(tmp_path).train.example_shape == (3, 8, 8)


def test_bands_must_be_as_many_everywhere(tmp_path):
    values = rng.integers(0, 256, (8, 10, 5), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    Image.new("RGB", (10, 8)).save(tmp_path / "b.png")
    with pytest.raises(NearfarError, match="files of 3 to 5 bands"):
        load(tmp_path)


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_bands_without_a_range_are_refused(tmp_path, kind):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((8, 10, 5), kind), photometric="minisblack")
    with pytest.raises(UnreadableImageError, match="have no agreed range"):
        read_image(path, (5, 8, 8))


def test_damaged_bands_are_one_kind_of_error(tmp_path):
    path = tmp_path / "a.tif"
    values = rng.integers(0, 256, (40, 40, 6), dtype=np.uint8)
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    whole = path.read_bytes()
    damaged = [whole[:end] for end in (3, 8, 100, len(whole) // 2, len(whole) - 5)]
    damaged += [whole[:at] + b"\xff\xff\xff" + whole[at + 3 :] for at in range(0, 300, 7)]
    read = 0
    for content in damaged:
        path.write_bytes(content)
        for attempt in (read_header, lambda file: read_image(file, (6, 8, 8))):
            with suppress(UnreadableImageError):  # any other error fails
                attempt(path)
                read += 1
    assert read < 2 * len(damaged)


def test_a_page_that_is_not_there_is_told(tmp_path):
    stack(tmp_path / "a.tif", 2)
    with pytest.raises(UnreadableImageError, match=r"a\.tif/7"):
        read_image(page_path(tmp_path / "a.tif", 7), (1, 8, 8))


def test_pages_that_a_folder_read_as_it_is_leaves_out_are_counted(tmp_path):
    (tmp_path / "a").mkdir()
    stack(tmp_path / "a" / "one.tif", 1)
    assert all_images(tmp_path, (1, 8, 8), "crop")[2] == []
    stack(tmp_path / "a" / "three.tif", 3)
    (tmp_path / "broken.tif").write_bytes(b"II*\0 no picture")
    (told,) = all_images(tmp_path, (1, 8, 8), "crop")[2]
    assert told.startswith("left out 2 pages of a TIFF file: the first of each is read; `--data")
    stack(tmp_path / "four.TIFF", 4)
    (told,) = all_images(tmp_path, (1, 8, 8), "crop")[2]
    assert told.startswith("left out 5 pages of 2 TIFF files: ")
    query = of_image(tiny_encoder(tmp_path / "run"), tmp_path / "four.TIFF")
    assert query.notes == ("left out 3 pages of a TIFF file: the first of each is read",)


def test_pages_in_a_table_of_images_are_counted_too(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    stack(tmp_path / "three.tif", 3)
    images = [{"bytes": (tmp_path / "three.tif").read_bytes(), "path": f"{n}"} for n in range(4)]
    pyarrow.parquet.write_table(
        pa.table({"image": images, "label": [0, 1, 0, 1]}), tmp_path / "made.parquet"
    )
    source = load_source(ImageParquetSpec(root=tmp_path / "made.parquet"))
    assert "left out 8 pages of 4 TIFF files: the first of each is read" in source.notes
