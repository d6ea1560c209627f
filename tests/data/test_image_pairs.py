"""Images paired with images of files: found, kept together, and refused."""

import numpy as np
import pytest
from PIL import Image

from nearfar.data.held_out import hold_out
from nearfar.data.paired_specs import ImagePairsFolderSpec, ImagePairsTableSpec
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError


def write(path, level, side=8, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (side, side), (level, 0, 0) if mode == "RGB" else level).save(path)


def pairs_of(source):
    """By the level of each image those of the images beside it."""
    found = {}
    for part in (source.train, source.test):
        if part is None:
            continue
        examples = [part.examples[row] for row in range(len(part))]
        for image, rows in zip(examples, part.partners.rows.tolist(), strict=True):
            beside = [int(part.partners.others[row].max()) for row in rows if row >= 0]
            found[int(np.asarray(image).max())] = beside
    return found


HEADER = "photo,drawing,kind\n"
ROWS = [f"p/{n}.png,d/{n}.png,{'ab'[n % 2]}\n" for n in range(8)]


@pytest.fixture
def pictures(tmp_path):
    """Eight photos of 8 px and, 100 levels above each, its drawing of 6 px in colour."""
    for number in range(8):
        write(tmp_path / "p" / f"{number}.png", number + 1)
        write(tmp_path / "d" / f"{number}.png", number + 101, side=6, mode="RGB")
    return tmp_path


def table(folder, text, **settings):
    path = folder / "table.csv"
    path.write_text(text)
    return load_source(ImagePairsTableSpec(**{"root": path, "test_fraction": 0.0} | settings))


ALL = {n + 1: [n + 101] for n in range(8)}


def test_the_columns_of_a_table_are_told_apart_and_may_be_named(pictures):
    source = table(pictures, HEADER + "".join(ROWS))
    assert pairs_of(source) == ALL
    assert source.second_modality == "images"
    assert source.train.example_shape == (1, 8, 8)
    assert source.train.partners.others.shape == (8, 3, 6, 6)
    assert source.train.labels.tolist() == [0, 1] * 4
    assert source.notes[:2] == (
        "second images are in column drawing",
        "paths are in column photo, labels in kind",
    )
    turned = table(pictures, HEADER + "".join(ROWS), second_column="photo", second_image_size=4)
    assert pairs_of(turned) == {second[0]: [first] for first, second in ALL.items()}
    assert turned.train.partners.others.shape == (8, 1, 4, 4)


def test_several_second_images_parts_and_streaming(pictures):
    text = HEADER + "".join([*ROWS, "p/2.png,d/5.png,a\n"])
    source = table(pictures, text, test_fraction=0.25, in_memory_mib=1)
    assert pairs_of(source) == ALL | {3: [103, 106]}
    assert len(source.test) == 2
    taught = hold_out(source, ImagePairsTableSpec(held_out=0.3))
    assert pairs_of(taught.source) == {
        level: pair for level, pair in pairs_of(source).items() if level in pairs_of(taught.source)
    }


def test_rows_without_a_second_image_are_left_out_and_counted(pictures):
    text = (HEADER + "".join(ROWS)).replace("d/3.png", "").replace("d/4.png", "d/none.png")
    with pytest.raises(NearfarError, match=r"1 of 7 second images cannot be read.*none\.png"):
        table(pictures, text)
    source = table(pictures, text, max_corrupt=0.2)
    assert pairs_of(source) == {level: pair for level, pair in ALL.items() if level not in (4, 5)}
    assert "left out 1 row without a second image" in source.notes
    assert any("skipped 1 of 7 second images" in note for note in source.notes)


def test_what_no_table_of_pairs_is_is_refused(pictures):
    text = HEADER + "".join(ROWS)
    alone = text.replace("d/", "x").replace(".png,a", ",a").replace(".png,b", ",b")
    with pytest.raises(NearfarError, match=r"table\.csv: photo alone holds paths of images, and"):
        table(pictures, alone)
    with pytest.raises(SettingError, match="are both photo"):
        table(pictures, text, path_column="photo", second_column="photo")
    with pytest.raises(SettingError, match="did you mean 'drawing'"):
        table(pictures, text, second_column="drawings")
    with pytest.raises(SettingError, match=r"need 24 MiB as 1024×1024 .*second_image_size to"):
        table(pictures, text, in_memory_mib=1, second_image_size=1024)
    with pytest.raises(SettingError, match="a pair is of two files"):
        ImagePairsTableSpec(pages="each")


def folder(root, **settings):
    return load_source(ImagePairsFolderSpec(**{"root": root, "test_fraction": 0.0} | settings))


def test_two_folders_pair_by_the_names_in_them(tmp_path):
    for number in range(6):
        part = ("train", "test")[number // 4]
        name = f"{part}/{'ab'[number % 2]}/{number}"
        write(tmp_path / "photos" / f"{name}.png", number + 1)
        write(tmp_path / "drawings" / f"{name}.bmp", number + 101)
    source = folder(tmp_path, first_folder="photos")
    assert pairs_of(source) == {n + 1: [n + 101] for n in range(6)}
    assert (len(source.train), len(source.test)) == (4, 2)
    assert source.train.labels.tolist() == [0, 0, 1, 1]
    assert source.train.names[0] == "photos/train/a/0.png"
    turned = folder(tmp_path)
    assert pairs_of(turned) == {n + 101: [n + 1] for n in range(6)}
    assert "first images are in drawings/, second ones in photos/" in turned.notes


def test_what_is_alone_or_twice_or_not_told_apart_is_refused(pictures):
    (pictures / "d" / "7.png").unlink()
    with pytest.raises(NearfarError, match=r"1 first image without a second \(7\.png\): the im"):
        folder(pictures, first_folder="p")
    source = folder(pictures, first_folder="p", max_corrupt=0.2)
    assert pairs_of(source) == {level: pair for level, pair in ALL.items() if level != 8}
    write(pictures / "p" / "0.bmp", 3)
    with pytest.raises(NearfarError, match=r"0\.bmp and 0\.png in .*p have one name"):
        folder(pictures)
    (pictures / "third").mkdir()
    with pytest.raises(NearfarError, match=r"holds d, p, third: name both"):
        folder(pictures)
    with pytest.raises(SettingError, match=r"data\.second_folder is x: there is no such folder"):
        folder(pictures, first_folder="p", second_folder="x")
    with pytest.raises(SettingError, match="are both p"):
        folder(pictures, first_folder="p", second_folder="p")
