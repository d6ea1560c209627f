"""Tables of paths and labels, and Parquet files that hold images as the Hugging Face Hub does."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from nearfar.data.image_table import file_named, texts_below
from nearfar.data.shard_specs import ImageParquetSpec
from nearfar.data.sources import load_source
from nearfar.data.specs import ImageTableSpec
from nearfar.errors import NearfarError, SettingError


def write(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), level).save(path)


def table(tmp_path, text, count=4, **settings):
    for number in range(count):
        write(tmp_path / f"{number}.png", number)
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return load_source(ImageTableSpec(**{"root": path, "test_fraction": 0.0} | settings))


FOUR = "file,kind,id\n0.png,a,7\n1.png,b,8\n2.png,a,9\n3.png,b,10\n"


def test_columns_are_guessed_and_said(tmp_path):
    source = table(tmp_path, FOUR)
    assert source.train.labels.tolist() == [0, 1, 0, 1]
    assert source.train.names == ["0.png", "1.png", "2.png", "3.png"]
    assert source.train.examples[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert source.notes[0] == "paths are in column file, labels in kind"


@pytest.mark.parametrize("delimiter", ";\t|")
def test_other_delimiters_quotes_and_byte_order_marks(tmp_path, delimiter):
    text = FOUR.replace(",", delimiter).replace("1.png", '"1.png"')
    assert table(tmp_path, "\ufeff" + text).train.labels.tolist() == [0, 1, 0, 1]


def test_without_a_heading_columns_have_numbers(tmp_path):
    source = table(tmp_path, FOUR.partition("\n")[2], label_column="2")
    assert source.train.labels.tolist() == [0, 1, 0, 1]
    assert source.notes[0] == "paths are in column 1, labels in 2"


def test_columns_that_are_named_go_first(tmp_path):
    text = "a,b,label,other\n0.png,1.png,x,u\n2.png,3.png,y,u\n"
    with pytest.raises(NearfarError, match=r"a, b all hold paths of images: .* data.path_column"):
        table(tmp_path, text)
    source = table(tmp_path, text, path_column="b", label_column="other")
    assert source.train.names == ["1.png", "3.png"]
    with pytest.raises(SettingError, match="did you mean 'label'"):
        table(tmp_path, text, path_column="b", label_column="labl")


def test_splits_are_parts_and_only_one_judges(tmp_path):
    text = "image,label,split\n0.png,a,train\n1.png,b,Training\n2.png,a,test\n3.png,b,val\n"
    source = table(tmp_path, text)
    assert (source.train.names, source.test.names) == (["0.png", "1.png"], ["2.png"])
    assert any("left out the val part (1 image)" in note for note in source.notes)
    source = table(tmp_path, text.replace(",test", ",val"))
    assert source.test.names == ["2.png", "3.png"]
    with pytest.raises(NearfarError, match="'holiday' is neither train, val nor test"):
        table(tmp_path, text.replace(",test", ",holiday"), split_column="split")
    with pytest.raises(NearfarError, match=r"column label .*class c is not among"):
        table(tmp_path, text.replace("a,test", "c,test"))


def test_without_a_column_of_labels_there_are_none_and_it_is_said(tmp_path):
    source = table(tmp_path, "path,taken,by\n0.png,1,x\n1.png,1,x\n2.png,2,y\n3.png,2,y\n")
    assert source.train.labels is None
    assert "no column is known to hold labels (taken, by are not)" in source.notes[0]


def test_parquet_tables_of_paths(tmp_path):
    for number in range(4):
        write(tmp_path / "pictures" / f"{number}.png", number)
    path = tmp_path / "table.parquet"
    columns = {"path": [f"{n}.png" for n in range(4)], "label": [3, 1, 3, 1], "weight": [0.5] * 4}
    parquet.write_table(pa.table(columns), path)
    spec = ImageTableSpec(root=path, images=tmp_path / "pictures", test_fraction=0.0)
    assert load_source(spec).class_names == ("1", "3")
    # A missing path is an empty one, as in CSV; spaces around it are no part of it.
    columns["path"] = ["0.png", None, " 2.png ", "3.png"]
    parquet.write_table(pa.table(columns), path)
    source = load_source(replace(spec, path_column="path"))
    assert source.train.names == ["0.png", "2.png", "3.png"]
    assert "left out 1 row without a path" in source.notes


def test_what_is_left_out_is_counted_and_named(tmp_path):
    text = FOUR + ",a,1\n0.png,a,7\ngone.png,a,1\npipe.png,b,1\n"  # file, kind, id
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "3.png").write_bytes(b"no image")
    for number in range(3):
        write(tmp_path / f"{number}.png", number)
    path = tmp_path / "table.csv"
    path.write_text(text)
    source = load_source(
        ImageTableSpec(root=path, path_column="file", test_fraction=0.0, max_corrupt=0.5)
    )
    assert source.train.names == ["0.png", "1.png", "2.png"]
    notes = "\n".join(source.notes)
    assert "left out 1 row without a path" in notes
    assert "left out 1 row whose file stands in another row" in notes
    assert "left out, as no files: pipe.png" in notes
    assert "skipped 2 of 5 images: " in notes
    assert "3.png (not an image of a known format)" in notes
    assert "gone.png (No such file or directory)" in notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FOUR + "4.png,a\n", "row 6 has 2 cells, and the first has 3"),
        (FOUR + "0.png,b,1\n", "0.png has two labels, in rows 1 and 5"),
        (FOUR.replace(".png", ".jpg"), "not one of 4 files is there, such as .*data.images"),
        (FOUR.replace("0.png", "https://x.org/0.png"), "is an address and no file"),
        ("name,label\nx,1\ny,2\n", "no column holds paths of images"),
        ("", "no row in it"),
        ("file,file\n0.png,1.png\n", "two columns are called file"),
        ('file,kind\n"0.png,a\n', "not a readable CSV file"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, text, words):
    with pytest.raises(NearfarError, match=words) as caught:
        table(tmp_path, text, label_column="kind" if "kind" in text else None)
    assert "table.csv: " in str(caught.value)


def test_what_is_no_utf_8_or_too_large_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("file,kind\n0.png,é\n".encode("latin1"))
    with pytest.raises(NearfarError, match="not in UTF-8"):
        load_source(ImageTableSpec(root=path))
    path.write_text(FOUR)
    with pytest.raises(SettingError, match=r"data.in_memory_mib=0"):
        load_source(ImageTableSpec(root=path, in_memory_mib=0))


def test_names_that_steer_a_terminal_are_shown_by_their_codes(tmp_path):
    name = "\x1b[31mred.png"
    write(tmp_path / name)
    path = tmp_path / "table.csv"
    path.write_text(f"path,label\n{name},a\n{name},b\n")
    with pytest.raises(NearfarError) as caught:
        load_source(ImageTableSpec(root=path, label_column="label"))
    assert "\x1b" not in str(caught.value)


def png(level):
    held = io.BytesIO()
    Image.new("RGB", (8, 8), (level, 0, 0)).save(held, "PNG")
    return held.getvalue()


def hub_file(path, levels, labels, names=("cat", "dog"), images=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = images or [{"bytes": png(level), "path": f"{level}.png"} for level in levels]
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(names), "_type": "ClassLabel"},
    }
    rows = pa.table({"image": images, "label": pa.array(labels, pa.int64())})
    described = json.dumps({"info": {"features": features}})
    parquet.write_table(rows.replace_schema_metadata({"huggingface": described}), path)


def test_a_file_of_the_hub(tmp_path):
    path = tmp_path / "train-00000-of-00001.parquet"
    hub_file(path, range(130), [n % 2 for n in range(130)])  # more than are decoded at a time
    source = load_source(ImageParquetSpec(root=path, test_fraction=0.0))
    assert source.class_names == ("cat", "dog")
    assert source.train.examples[:, 0, 0, 0].tolist() == list(range(130))
    assert source.train.labels.tolist() == [n % 2 for n in range(130)]
    assert source.train.names[129] == "train-00000-of-00001.parquet/129"
    assert source.notes == ("images are in column image, labels in label",)


def test_a_folder_of_the_hub_has_parts(tmp_path):
    hub_file(tmp_path / "data" / "train-00000-of-00002.parquet", [1, 2], [0, 1])
    hub_file(tmp_path / "data" / "train-00001-of-00002.parquet", [3], [1])
    hub_file(tmp_path / "data" / "validation-00000-of-00001.parquet", [4], [0])
    hub_file(tmp_path / "data" / "test-00000-of-00001.parquet", [5], [0])
    source = load_source(ImageParquetSpec(root=tmp_path))
    assert source.train.examples[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert source.test.examples[:, 0, 0, 0].tolist() == [5]
    assert "left out the val part (1 file)" in "\n".join(source.notes)
    hub_file(tmp_path / "more.parquet", [6], [0])
    with pytest.raises(NearfarError, match=r"more.parquet: which part is that\?"):
        load_source(ImageParquetSpec(root=tmp_path))


def test_damaged_images_of_the_hub_are_named_by_their_row(tmp_path):
    path = tmp_path / "a.parquet"
    good, none = {"bytes": png(1), "path": None}, {"bytes": None, "path": "x.png"}
    cut = {"bytes": png(2)[:40], "path": "\x1b]0;"}
    hub_file(path, [], [0, 1, 0, 1], images=[good, none, cut, good])
    source = load_source(ImageParquetSpec(root=path, test_fraction=0.0, max_corrupt=0.5))
    assert source.train.names == ["a.parquet/0", "a.parquet/3"]
    assert source.train.labels.tolist() == [0, 1]
    notes = "\n".join(source.notes)
    assert "skipped 2 of 4 images: a.parquet/1 (no bytes in this row), a.parquet/2 (" in notes
    with pytest.raises(NearfarError, match=r"over data.max_corrupt=0.01"):
        load_source(ImageParquetSpec(root=path))


def test_labels_out_of_their_names_and_bytes_alone(tmp_path):
    path = tmp_path / "a.parquet"
    hub_file(path, [1, 2], [0, -2])
    with pytest.raises(NearfarError, match="label -2: the file names 2 classes"):
        load_source(ImageParquetSpec(root=path))
    plain = pa.table({"picture": [png(1), png(2)], "species": ["a", "b"]})
    parquet.write_table(plain, path)
    source = load_source(ImageParquetSpec(root=path, test_fraction=0.0))
    assert source.train.labels.tolist() == [0, 1]
    parquet.write_table(pa.table({"x": [1, 2]}), path)
    with pytest.raises(NearfarError, match="no column holds images"):
        load_source(ImageParquetSpec(root=path))


def test_paths_of_rows_are_those_that_pathlib_makes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["a.png", "./a.png", "a//b.png", "a/./b.png", "../x.png", "a/../b.png", "a/", "é/.b"]
    for base in (tmp_path, Path(), Path("/"), Path("sub/..")):
        text_of = texts_below(base)
        for name in [*names, str(tmp_path / "c.png"), "//c.png", "n\0.png"]:
            assert text_of(name) == str(file_named(base, name))
